#include "audit/numbers.hpp"

#include <algorithm>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace avseal::audit {
namespace {

using Added = Numbers::Added;

TEST(NumbersTest, HasNoGapsInWhatCameInAnyOrder) {
  Numbers numbers;
  for (const std::uint64_t n : {2, 1, 5, 4, 3, 6}) EXPECT_EQ(numbers.add(n, n, 0), Added::fresh);
  EXPECT_TRUE(numbers.gaps().empty());
  EXPECT_EQ(numbers.highest(), 6U);
}

TEST(NumbersTest, TellsItsGapsAndWhenTheyWereNoticed) {
  Numbers numbers;
  numbers.add(3, 3, 10);
  numbers.add(10, 12, 20);
  numbers.add(6, 6, 30);
  const auto gaps = numbers.gaps();
  ASSERT_EQ(gaps.size(), 3U);
  EXPECT_EQ(gaps[0].first, 1U);
  EXPECT_EQ(gaps[0].last, 2U);
  EXPECT_EQ(gaps[0].noticed, 10);
  EXPECT_EQ(gaps[1].first, 4U);
  EXPECT_EQ(gaps[1].last, 5U);
  EXPECT_EQ(gaps[1].noticed, 20) << "what splits a gap does not make it younger";
  EXPECT_EQ(gaps[2].size(), 3U);
  EXPECT_EQ(gaps[2].noticed, 20);
}

TEST(NumbersTest, RefusesNumbersThatItHas) {
  Numbers numbers;
  numbers.add(5, 9, 0);
  EXPECT_EQ(numbers.add(5, 5, 0), Added::doubled);
  EXPECT_EQ(numbers.add(9, 12, 0), Added::doubled);
  EXPECT_EQ(numbers.add(1, 5, 0), Added::doubled);
  EXPECT_EQ(numbers.add(1, 20, 0), Added::doubled);
  EXPECT_EQ(numbers.add(4, 4, 0), Added::fresh);
  EXPECT_EQ(numbers.add(10, 10, 0), Added::fresh);
  EXPECT_EQ(numbers.gaps().size(), 1U);
}

TEST(NumbersTest, AgreesWithAPlainSet) {
  std::mt19937 random(6);
  for (int round = 0; round < 200; ++round) {
    Numbers numbers;
    std::set<std::uint64_t> model;
    std::uint64_t told = 0;
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t first = 1 + random() % 100;
      const std::uint64_t last = first + random() % 4;
      if (random() % 8 == 0) {
        ASSERT_EQ(numbers.told(last, i), Added::fresh);
        told = std::max(told, last);
        continue;
      }
      bool fresh = true;
      for (auto n = first; n <= last; ++n) fresh = fresh && model.count(n) == 0;
      ASSERT_EQ(numbers.add(first, last, i) == Added::fresh, fresh);
      for (auto n = first; fresh && n <= last; ++n) model.insert(n);
    }
    std::set<std::uint64_t> missing;
    for (const auto& gap : numbers.gaps()) {
      for (auto n = gap.first; n <= gap.last; ++n) missing.insert(n);
    }
    const auto highest = std::max(told, *model.rbegin());
    for (std::uint64_t n = 1; n <= highest; ++n) ASSERT_NE(model.count(n), missing.count(n));
    ASSERT_EQ(numbers.highest(), highest);
  }
}

TEST(NumbersTest, KnowsTheGapsThatACrashLeft) {
  Numbers numbers;
  numbers.add(2, 2, 10);
  numbers.add(4, 4, 50);
  numbers.crashed(40);
  numbers.add(8, 8, 60);
  numbers.add(10, 10, 61);
  const auto gaps = numbers.gaps();
  ASSERT_EQ(gaps.size(), 4U);
  EXPECT_EQ(gaps[0].crash, 0U) << "noticed long before";
  EXPECT_EQ(gaps[1].crash, 1U);
  EXPECT_EQ(gaps[2].crash, 1U);
  EXPECT_EQ(gaps[3].crash, 0U) << "of the run after it";
}

TEST(NumbersTest, NoticesAGapWhenItIsToldHowFarTheCounterIs) {
  Numbers numbers;
  numbers.add(1, 2, 10);
  numbers.told(2, 15);
  EXPECT_TRUE(numbers.gaps().empty());
  numbers.told(5, 20);
  numbers.told(4, 25);
  ASSERT_EQ(numbers.gaps().size(), 1U);
  EXPECT_EQ(numbers.gaps()[0].last, 5U);
  EXPECT_EQ(numbers.highest(), 5U);
  numbers.add(6, 6, 30);
  numbers.add(9, 9, 40);
  const auto gaps = numbers.gaps();
  ASSERT_EQ(gaps.size(), 2U);
  EXPECT_EQ(gaps[0].first, 3U);
  EXPECT_EQ(gaps[0].size(), 3U);
  EXPECT_EQ(gaps[0].noticed, 20) << "not only by the next number";
  EXPECT_EQ(gaps[1].size(), 2U);
  EXPECT_EQ(gaps[1].noticed, 40);
  numbers.add(3, 5, 50);
  numbers.told(12, 60);
  numbers.told(13, 61);
  EXPECT_EQ(numbers.add(10, 15, 62), Added::fresh) << "what was told lies within";
  numbers.add(7, 8, 50);
  EXPECT_TRUE(numbers.gaps().empty());
}

TEST(NumbersTest, KnowsWhatIsOfACrashWhenTheNextRunIsToldHowFarTheCounterIs) {
  Numbers numbers;
  numbers.add(1, 1, 10);
  numbers.crashed(0);
  numbers.told(4, 20);
  numbers.told(6, 20 + in_flight_time);
  auto gaps = numbers.gaps();
  ASSERT_EQ(gaps.size(), 2U);
  EXPECT_EQ(gaps[0].crash, 1U);
  EXPECT_EQ(gaps[1].crash, 1U) << "requests of the run before were still counted";
  numbers.told(7, 21 + in_flight_time);
  EXPECT_EQ(numbers.gaps()[2].crash, 0U) << "not any more";
  numbers.crashed(30 + in_flight_time);
  numbers.add(9, 9, 40 + in_flight_time);
  gaps = numbers.gaps();
  ASSERT_EQ(gaps.size(), 4U);
  EXPECT_EQ(gaps[2].crash, 0U);
  EXPECT_EQ(gaps[3].crash, 2U);
}

TEST(NumbersTest, HasABoundOfMemory) {
  Numbers numbers;
  for (std::uint64_t i = 1; i <= Numbers::max_runs; ++i) ASSERT_EQ(numbers.add(2 * i, 2 * i, 0), Added::fresh);
  EXPECT_EQ(numbers.add(1'000'000, 1'000'000, 0), Added::too_many);
  EXPECT_EQ(numbers.told(1'000'000, 0), Added::too_many);
  EXPECT_EQ(numbers.add(3, 3, 0), Added::fresh);
}

}  // namespace
}  // namespace avseal::audit
