#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace avseal {

using UnixSeconds = std::int64_t;

// Wall-clock time, injected wherever a test must control it.
using Clock = std::function<std::chrono::system_clock::time_point()>;

inline std::chrono::system_clock::time_point system_clock_now() {
  return std::chrono::system_clock::now();
}
inline UnixSeconds to_unix(std::chrono::system_clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}

}  // namespace avseal
