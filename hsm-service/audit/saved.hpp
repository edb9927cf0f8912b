// What a verification keeps for the next one is written as JSON, and taken back only as it was written.
#pragma once

#include <cstdint>
#include <string>

#include "tokens/result.hpp"

namespace avseal::audit {

// Sums with times of settling do not overflow.
inline bool is_time(std::int64_t time) {
  constexpr auto limit = std::int64_t{1} << 62U;
  return -limit <= time && time <= limit;
}

inline Error saved_malformed(const std::string& found) {
  return errors::make(Category::invalid, "numbers-malformed",
                      "expected numbers as a verification saved them, found " + found);
}

}  // namespace avseal::audit
