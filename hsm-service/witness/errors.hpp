#pragma once

#include <string>

#include "tokens/result.hpp"

namespace avseal::witness::errors {

inline Error refused(Category category, std::string_view reason, std::string detail) {
  return avseal::errors::make(category, reason, std::move(detail));
}

// The file or directory that holds what a witness must never forget.
inline Error state(std::string detail) {
  return avseal::errors::make(Category::unavailable, "witness-state", std::move(detail));
}

}  // namespace avseal::witness::errors
