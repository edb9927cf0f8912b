#pragma once

#include <algorithm>
#include <chrono>

namespace avseal::tokend {

// A ceiling on signatures per second: a bucket of one second's worth. 0 is no ceiling. Used by one thread.
class RateCeiling {
 public:
  explicit RateCeiling(unsigned per_second) : per_second_(per_second), left_(per_second) {}

  bool take(std::chrono::steady_clock::time_point now) {
    if (per_second_ == 0) return true;
    if (last_ != std::chrono::steady_clock::time_point{}) {
      const double seconds = std::chrono::duration<double>(now - last_).count();
      left_ = std::min<double>(per_second_, left_ + seconds * per_second_);
    }
    last_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  unsigned per_second_;
  double left_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace avseal::tokend
