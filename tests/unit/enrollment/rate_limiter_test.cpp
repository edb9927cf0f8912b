#include "enrollment/rate_limiter.hpp"

#include <gtest/gtest.h>

namespace avseal::enrollment {
namespace {

using std::chrono::seconds;

Config config() {
  Config out;
  out.attempts_per_minute = 6;
  out.burst = 3;
  out.max_addresses = 4;
  return out;
}

class RateLimiterTest : public ::testing::Test {
 protected:
  unsigned admitted(const std::string& address, unsigned attempts) {
    unsigned out = 0;
    for (unsigned i = 0; i < attempts; ++i) out += limiter_.admit(address, now_) ? 1 : 0;
    return out;
  }
  RateLimiter limiter_{config()};
  RateLimiter::Time now_{seconds(1'000)};
};

TEST_F(RateLimiterTest, ABurstThenTheRate) {
  EXPECT_EQ(admitted("192.0.2.1", 5), 3U);
  now_ += seconds(9);
  EXPECT_EQ(admitted("192.0.2.1", 5), 0U);
  now_ += seconds(1);
  EXPECT_EQ(admitted("192.0.2.1", 5), 1U);
  now_ += seconds(3'600);
  EXPECT_EQ(admitted("192.0.2.1", 9), 3U);
}

TEST_F(RateLimiterTest, AddressesAreApartNetworksAreNot) {
  EXPECT_EQ(admitted("192.0.2.1", 4), 3U);
  EXPECT_EQ(admitted("192.0.2.2", 4), 3U);
  EXPECT_EQ(admitted("2001:db8::1", 2), 2U);
  EXPECT_EQ(admitted("2001:db8::ffff", 4), 1U);
  EXPECT_EQ(admitted("2001:db8:0:1::1", 4), 3U);
}

TEST_F(RateLimiterTest, MappedAddressesAreTheirIpv4Selves) {
  EXPECT_EQ(admitted("192.0.2.1", 3), 3U);
  EXPECT_EQ(admitted("::ffff:192.0.2.1", 3), 0U);
}

TEST_F(RateLimiterTest, TheTableIsBoundedAndForgetsTheIdle) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(admitted("198.51.100." + std::to_string(i), 1), 1U);
  EXPECT_EQ(admitted("198.51.100.9", 1), 0U);
  now_ += seconds(10);
  EXPECT_EQ(admitted("198.51.100.9", 1), 1U);
}

}  // namespace
}  // namespace avseal::enrollment
