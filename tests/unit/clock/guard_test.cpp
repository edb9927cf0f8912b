#include "clock/guard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace avseal::clock {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class GuardTest : public ::testing::Test {
 protected:
  Guard make(Source source) {
    return Guard(source, [this] { return now; });
  }
  void pass(std::chrono::nanoseconds time) {
    now.realtime += time;
    now.boottime += time;
  }
  void step(std::chrono::nanoseconds by) { now.realtime += by; }
  static std::vector<std::string> names(const std::vector<Guard::Change>& changes) {
    std::vector<std::string> out;
    for (const auto& change : changes) out.emplace_back(to_string(change.kind));
    return out;
  }
  // The source speaks each second.
  static Result<void> bad() { return errors::make(Category::unavailable, "clock-unsynchronised", "no source"); }

  Reading now{1'800'000'000s, 1000s};
};

TEST_F(GuardTest, TimeThatPassesIsNoStep) {
  auto guard = make(Source::trusted);
  pass(24h * 365);
  EXPECT_TRUE(guard.check());
  EXPECT_THAT(guard.poll(), IsEmpty());
}

TEST_F(GuardTest, StepOfMoreThanTwoSecondsStopsEitherWay) {
  for (const auto by : {2001ms, -2001ms}) {
    auto guard = make(Source::trusted);
    step(by);
    ASSERT_TRUE(guard.check().has_error()) << by.count();
    EXPECT_EQ(guard.check().error().reason, "clock-stepped");
    EXPECT_EQ(guard.check().error().category, Category::unavailable);
    EXPECT_EQ(guard.step(), by);
    EXPECT_THAT(names(guard.poll()), ElementsAre("clock.stepped"));
    EXPECT_THAT(guard.poll(), IsEmpty()) << "told once";
  }
}

TEST_F(GuardTest, TellsTheTimeWithoutAStep) {
  const auto time = [](const Guard& guard) { return guard.unstepped().time_since_epoch(); };
  auto guard = make(Source::trusted);
  step(1500ms);
  EXPECT_EQ(time(guard), now.realtime) << "one that is forgiven";
  step(1h);
  pass(5s);
  EXPECT_EQ(time(guard), 1'800'000'005s);
  step(-2h);
  EXPECT_EQ(time(guard), 1'800'000'005s);
  guard.accept();
  EXPECT_EQ(time(guard), now.realtime);
}

TEST_F(GuardTest, SmallStepsAddUp) {
  auto guard = make(Source::trusted);
  step(1999ms);
  EXPECT_TRUE(guard.check());
  pass(24h);
  step(2ms);
  EXPECT_FALSE(guard.check());
}

TEST_F(GuardTest, EndsWhenSteppedBack) {
  auto guard = make(Source::trusted);
  step(-1h);
  EXPECT_FALSE(guard.check());
  guard.poll();
  step(1h);
  EXPECT_TRUE(guard.check());
  const auto changes = guard.poll();
  EXPECT_THAT(names(changes), ElementsAre("clock.restored"));
  EXPECT_EQ(changes[0].detail, "stepped back");
}

TEST_F(GuardTest, StepThatOnlyARequestSawIsTold) {
  auto guard = make(Source::trusted);
  step(1h);
  EXPECT_FALSE(guard.check());
  step(-1h);
  const auto changes = guard.poll();
  EXPECT_THAT(names(changes), ElementsAre("clock.stepped"));
  EXPECT_EQ(changes[0].step, 1h);
  EXPECT_THAT(names(guard.poll()), ElementsAre("clock.restored"));
}

TEST_F(GuardTest, EndsWhenAnOperatorAccepts) {
  auto guard = make(Source::trusted);
  step(1h);
  guard.poll();
  guard.accept();
  EXPECT_TRUE(guard.check());
  const auto changes = guard.poll();
  EXPECT_THAT(names(changes), ElementsAre("clock.restored"));
  EXPECT_THAT(changes[0].detail, HasSubstr("operator"));
  step(-1h);
  EXPECT_FALSE(guard.check()) << "the accepted time is the trusted one now";
}

TEST_F(GuardTest, SourceMustHaveSpoken) {
  auto guard = make(Source::kernel);
  ASSERT_TRUE(guard.check().has_error());
  EXPECT_EQ(guard.check().error().reason, "clock-unsynchronised");
  guard.heard({});
  EXPECT_THAT(names(guard.poll()), ElementsAre("clock.synchronised"));
  EXPECT_TRUE(guard.check());
  guard.heard(bad());
  EXPECT_THAT(names(guard.poll()), ElementsAre("clock.unsynchronised"));
  ASSERT_TRUE(guard.check().has_error());
  EXPECT_THAT(guard.check().error().detail, HasSubstr("no source"));
}

TEST_F(GuardTest, SilentSourceIsTrustedForHalfAMinute) {
  auto guard = make(Source::chrony);
  guard.heard({});
  guard.poll();
  pass(30s);
  EXPECT_THAT(guard.poll(), IsEmpty());
  EXPECT_TRUE(guard.check());
  pass(1s);
  EXPECT_THAT(names(guard.poll()), ElementsAre("clock.unsynchronised"));
  EXPECT_FALSE(guard.check());
}

TEST_F(GuardTest, SynchronisedSourceEndsAStepAfterTenSeconds) {
  auto guard = make(Source::kernel);
  for (int i = 0; i < 20; ++i, pass(1s)) {
    guard.heard({});
    guard.poll();
  }
  step(1h);
  EXPECT_THAT(names(guard.poll()), ElementsAre("clock.stepped", "clock.unsynchronised")) << "what it said is of before";
  for (int i = 0; i < 10; ++i, pass(1s)) {
    guard.heard({});
    guard.poll();
    EXPECT_FALSE(guard.check()) << i;
  }
  guard.heard({});
  EXPECT_THAT(names(guard.poll()), ElementsAre("clock.restored"));
  EXPECT_TRUE(guard.check());
}

TEST_F(GuardTest, TenSecondsBeginAgainWhenTheSourceDoubts) {
  auto guard = make(Source::chrony);
  step(-1h);
  for (int i = 0; i < 20; ++i, pass(1s)) {
    guard.heard(i == 9 ? bad() : Result<void>{});
    guard.poll();
    EXPECT_FALSE(guard.check()) << i;
  }
  guard.heard({});
  guard.poll();
  EXPECT_TRUE(guard.check());
}

TEST_F(GuardTest, TrustedClockIsNotHelpedByTime) {
  auto guard = make(Source::trusted);
  step(1h);
  for (int i = 0; i < 100; ++i, pass(1s)) guard.poll();
  EXPECT_FALSE(guard.check());
}

TEST_F(GuardTest, SynchronisedSourceForgivesSmallSteps) {
  auto guard = make(Source::kernel);
  for (int i = 0; i < 100; ++i, pass(1s)) {
    if (i % 20 == 19) step(1s);  // five leap seconds
    guard.heard({});
    guard.poll();
    EXPECT_TRUE(guard.check()) << i;
  }
}

}  // namespace
}  // namespace avseal::clock
