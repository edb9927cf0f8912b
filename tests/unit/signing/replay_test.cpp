#include "signing/replay.hpp"

#include <gtest/gtest.h>

namespace avseal {
namespace {

using namespace std::chrono_literals;

TEST(PassportReplay, BelongsToOneCall) {
  signing::PassportReplay replay(10, 60s);
  EXPECT_TRUE(replay.check("H.P", "call-1", 1000));
  EXPECT_TRUE(replay.check("H.P", "call-1", 1001));
  EXPECT_EQ(replay.check("H.P", "call-2", 1001).error().reason, "passport-replayed");
  EXPECT_TRUE(replay.check("H.Q", "call-2", 1001));
}

TEST(PassportReplay, IsKeptAsLongAsThePassportIsFresh) {
  signing::PassportReplay replay(10, 60s);
  // iat may be 60 s ahead and fresh for 60 s after.
  EXPECT_TRUE(replay.check("H.P", "call-1", 1000));
  EXPECT_FALSE(replay.check("H.P", "call-2", 1120));
  EXPECT_TRUE(replay.check("H.P", "call-2", 1122));
}

TEST(PassportReplay, IsBoundedAndNeverForgetsAFreshOne) {
  signing::PassportReplay replay(2, 60s);
  EXPECT_TRUE(replay.check("1", "a", 1000));
  EXPECT_TRUE(replay.check("2", "a", 1000));
  const auto full = replay.check("3", "a", 1000);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().reason, "replay-cache-full");
  EXPECT_EQ(full.error().category, Category::unavailable);
  EXPECT_FALSE(replay.check("1", "b", 1000));
  EXPECT_TRUE(replay.check("3", "a", 1122));
  EXPECT_EQ(replay.size(), 1U);
}

}  // namespace
}  // namespace avseal
