#include "enrollment/rate_limiter.hpp"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

namespace avseal::enrollment {
namespace {

// One caller can use any address of its IPv6 network.
std::string network_of(const std::string& address) {
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(address, error);
  if (error || parsed.is_v4()) return address;
  const auto v6 = parsed.to_v6();
  if (v6.is_v4_mapped()) return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6).to_string();
  const auto bytes = v6.to_bytes();
  return {bytes.begin(), bytes.begin() + 8};
}

}  // namespace

RateLimiter::RateLimiter(const Config& config)
    : interval_(
          std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(60 / config.attempts_per_minute))),
      credit_(interval_ * (std::max(config.burst, 1U) - 1)),
      max_addresses_(config.max_addresses) {}

Error RateLimiter::refusal() const {
  auto error =
      errors::make(Category::too_many_requests, "enrolment-rate-limited", "too many enrolments from this address");
  error.retry_after = std::max(std::chrono::seconds(1), std::chrono::duration_cast<std::chrono::seconds>(interval_));
  return error;
}

bool RateLimiter::admit(const std::string& address, Time now) {
  auto network = network_of(address);
  const std::lock_guard lock(mutex_);
  auto found = paid_until_.find(network);
  if (found == paid_until_.end()) {
    if (paid_until_.size() >= max_addresses_)
      std::erase_if(paid_until_, [&](const auto& entry) { return entry.second <= now; });
    if (paid_until_.size() >= max_addresses_) return false;
    found = paid_until_.emplace(std::move(network), now).first;
  }
  const auto start = std::max(found->second, now);
  if (start - now > credit_) return false;
  found->second = start + interval_;
  return true;
}

}  // namespace avseal::enrollment
