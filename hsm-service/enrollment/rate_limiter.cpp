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

double RateLimiter::refilled(const Bucket& bucket, Time now) const {
  const std::chrono::duration<double, std::ratio<60>> minutes = now - bucket.at;
  return std::min<double>(config_.burst, bucket.attempts + minutes.count() * config_.attempts_per_minute);
}

bool RateLimiter::admit(const std::string& address, Time now) {
  auto network = network_of(address);
  const std::lock_guard lock(mutex_);
  auto found = buckets_.find(network);
  if (found == buckets_.end()) {
    if (buckets_.size() >= config_.max_addresses)
      std::erase_if(buckets_, [&](const auto& entry) { return refilled(entry.second, now) >= config_.burst; });
    if (buckets_.size() >= config_.max_addresses) return false;
    found = buckets_.emplace(std::move(network), Bucket{static_cast<double>(config_.burst), now}).first;
  }
  auto& bucket = found->second;
  bucket = {refilled(bucket, now), now};
  if (bucket.attempts < 1) return false;
  bucket.attempts -= 1;
  return true;
}

}  // namespace avseal::enrollment
