#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

#include "enrollment/config.hpp"

namespace avseal::enrollment {

// Attempts of callers without a client certificate: a token bucket per address, in a bounded table. One per process,
// shared by the io threads.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RateLimiter(const Config& config) : config_(config) {}

  // False: too many attempts from this address (IPv6: from its /64), or no room to remember a new one.
  bool admit(const std::string& address, Time now);

 private:
  struct Bucket {
    double attempts = 0;  // left
    Time at;
  };
  [[nodiscard]] double refilled(const Bucket& bucket, Time now) const;

  Config config_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace avseal::enrollment
