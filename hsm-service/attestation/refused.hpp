#pragma once

#include <string>

#include "tokens/result.hpp"

namespace avseal::attestation {

inline Error refused(std::string_view reason, std::string detail) {
  return errors::make(Category::forbidden, reason, std::move(detail));
}

}  // namespace avseal::attestation
