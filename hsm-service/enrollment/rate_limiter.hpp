#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

#include "enrollment/config.hpp"
#include "tokens/result.hpp"

namespace avseal::enrollment {

// Attempts of callers without a client certificate: a burst and then a steady rate per address, in a bounded table. One
// per process, shared by the io threads.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RateLimiter(const Config& config);

  // False: too many attempts from this address (IPv6: from its /64), or no room to remember a new one.
  bool admit(const std::string& address, Time now);
  [[nodiscard]] Error refusal() const;  // "enrolment-rate-limited"

 private:
  Time::duration interval_;  // of one attempt
  Time::duration credit_;    // attempts may run this far ahead of the rate
  std::size_t max_addresses_;
  std::mutex mutex_;
  std::unordered_map<std::string, Time> paid_until_;  // by network; in the past: idle
};

}  // namespace avseal::enrollment
