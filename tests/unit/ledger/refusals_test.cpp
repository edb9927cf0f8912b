#include "ledger/refusals.hpp"

#include <prometheus/text_serializer.h>

#include "support.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::HasSubstr;

class LedgerRefusalsTest : public Fixture {
 protected:
  [[nodiscard]] std::vector<boost::json::object> refusals() const {
    std::vector<boost::json::object> found;
    for (const auto& text : leaves()) {
      auto object = boost::json::parse(text).as_object();
      if (object.at("outcome") == "refused") found.push_back(std::move(object));
    }
    return found;
  }
};

TEST_F(LedgerRefusalsTest, OfAClientHasALeafOfItsOwnOnReturn) {
  auto ledger = open();
  run(ledger->refused(event("sign.avatar-id"), "client-scope"));
  EXPECT_EQ(ledger->size(), 2U);
  ASSERT_EQ(refusals().size(), 1U);
  EXPECT_EQ(refusals()[0].at("client"), "ims-as-1");
  EXPECT_EQ(refusals()[0].at("event"), "sign.avatar-id");
  EXPECT_EQ(refusals()[0].at("reason"), "client-scope");
}

TEST_F(LedgerRefusalsTest, OfStrangersHaveOneLeafPerReasonAndMinute) {
  auto ledger = open();
  for (int i = 0; i < 500; ++i) ledger->count_unauthenticated("tls-handshake");
  Event stranger;
  stranger.type = "http";
  stranger.client.clear();
  run(ledger->refused(stranger, "json-malformed"));
  EXPECT_EQ(ledger->size(), 1U);
  clock.advance(60);
  ASSERT_TRUE(eventually([&] { return ledger->size() == 3; }));
  ledger->count_unauthenticated("tls-handshake");
  ledger->close();
  const auto found = refusals();
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].at("reason"), "json-malformed");
  EXPECT_EQ(found[0].at("details").at("count"), 1);
  EXPECT_EQ(found[1].at("reason"), "tls-handshake");
  EXPECT_EQ(found[1].at("details").at("count"), 500);
  EXPECT_EQ(found[1].at("details").at("from"), 1'763'930'040);
  EXPECT_EQ(found[1].at("event"), "refusal");
  EXPECT_EQ(found[2].at("details").at("count"), 1) << "written when the log is closed";
}

TEST_F(LedgerRefusalsTest, ThatFoundNoRoomAreToldWhenThereIsSome) {
  auto ledger = open();
  for (int i = 0; i < 500; ++i) ledger->count_unauthenticated("tls-handshake");
  files->write_errno = ENOSPC;
  clock.advance(60);
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  files->write_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ASSERT_TRUE(append(*ledger, event()));
  ledger->close();
  const auto found = refusals();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].at("details").at("count"), 500);
}

TEST_F(LedgerRefusalsTest, OfAClientBeyondItsRateAreCounted) {
  auto with = config();
  with.refusal_burst = 3;
  with.refusals_per_second = 0;
  auto ledger = open(with);
  for (int i = 0; i < 10; ++i) run(ledger->refused(event(), "client-scope"));
  Event other = event();
  other.client = "ims-as-2";
  run(ledger->refused(other, "client-scope"));
  ledger->close();
  const auto found = refusals();
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found[3].at("client"), "ims-as-2");
  EXPECT_EQ(found[4].at("client"), "ims-as-1");
  EXPECT_EQ(found[4].at("details").at("count"), 7);
}

TEST_F(LedgerRefusalsTest, AreCountedInTheMetrics) {
  auto ledger = open();
  ledger->count_unauthenticated("tls-handshake");
  run(ledger->refused(event(), "client-scope"));
  const auto text = prometheus::TextSerializer().Serialize(metrics.Collect());
  EXPECT_THAT(text, HasSubstr("avseal_ledger_refusals_total{reason=\"tls-handshake\"} 1"));
  EXPECT_THAT(text, HasSubstr("avseal_ledger_refusals_total{reason=\"client-scope\"} 1"));
  EXPECT_THAT(text, HasSubstr("avseal_ledger_aggregated_refusals_total 1"));
  EXPECT_THAT(text, HasSubstr("avseal_ledger_entries 2"));
  EXPECT_THAT(text, HasSubstr("avseal_ledger_pending 0"));
  EXPECT_THAT(text, HasSubstr("avseal_ledger_sync_seconds_count 2"));
}

TEST_F(LedgerRefusalsTest, DoNotWaitForABrokenLog) {
  auto ledger = open();
  files->sync_errno = EIO;
  run(ledger->refused(event(), "client-scope"));
  run(ledger->refused(event(), "client-scope"));
  ledger->count_unauthenticated("tls-handshake");
  EXPECT_EQ(ledger->size(), 1U);
}

std::chrono::system_clock::time_point at(std::int64_t seconds) {
  return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
}

TEST(RefusalCountsTest, AreBounded) {
  RefusalCounts counts;
  for (std::size_t i = 0; i < RefusalCounts::max_counts + 50; ++i) counts.add("", fmt::format("reason-{}", i), at(0));
  const auto taken = counts.take(at(0), true);
  EXPECT_LE(taken.size(), RefusalCounts::max_counts + 1);
  std::int64_t sum = 0;
  for (const auto& summary : taken) sum += summary.event.details.at("count").as_int64();
  EXPECT_EQ(sum, static_cast<std::int64_t>(RefusalCounts::max_counts + 50));
}

TEST(RefusalCountsTest, OfManyMinutesAreBoundedAndNoneIsLost) {
  constexpr int minutes = 3 * RefusalCounts::max_minutes;
  constexpr int reasons = 400;
  RefusalCounts counts;
  for (int minute = 0; minute < minutes; ++minute) {
    for (int i = 0; i < reasons; ++i) counts.add("", fmt::format("reason-{}-{}", minute % 4, i), at(60 * minute));
  }
  const auto taken = counts.take(at(60 * minutes), false);
  EXPECT_LE(taken.size(), RefusalCounts::max_minutes * (RefusalCounts::max_counts + 1));
  std::int64_t sum = 0;
  for (const auto& summary : taken) sum += summary.event.details.at("count").as_int64();
  EXPECT_EQ(sum, minutes * reasons);
}

TEST(RefusalCountsTest, OldestMinutesBecomeOne) {
  RefusalCounts counts;
  const auto last = static_cast<std::int64_t>(RefusalCounts::max_minutes) + 1;
  for (std::int64_t minute = 0; minute <= last; ++minute) counts.add("a", "x", at(60 * minute));
  const auto taken = counts.take(at(0), true);
  ASSERT_EQ(taken.size(), RefusalCounts::max_minutes);
  EXPECT_EQ(taken[0].event.details, (boost::json::object{{"count", 3}, {"from", 0}, {"to", 120}}));
  EXPECT_EQ(taken[1].event.details, (boost::json::object{{"count", 1}, {"from", 180}}));
}

TEST(RefusalCountsTest, MinuteOfTheFutureIsOverAfterAStepBack) {
  RefusalCounts counts;
  counts.add("", "x", at(600));
  EXPECT_TRUE(counts.take(at(630), false).empty());
  EXPECT_EQ(counts.take(at(60), false).size(), 1U);
  EXPECT_TRUE(counts.empty());
}

TEST(RefusalLimiterTest, FillsUpAgain) {
  RefusalLimiter limiter(2, 2);
  const std::chrono::steady_clock::time_point start;
  EXPECT_TRUE(limiter.allow("a", start));
  EXPECT_TRUE(limiter.allow("a", start));
  EXPECT_FALSE(limiter.allow("a", start));
  EXPECT_TRUE(limiter.allow("b", start));
  EXPECT_FALSE(limiter.allow("a", start + std::chrono::milliseconds(400)));
  EXPECT_TRUE(limiter.allow("a", start + std::chrono::milliseconds(600)));
}

}  // namespace
}  // namespace avseal::ledger::test
