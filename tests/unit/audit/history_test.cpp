#include "audit/history.hpp"

#include "audit/rules.hpp"
#include "support.hpp"

namespace avseal::audit::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The verdict on a log from its start, or from leaf `from` on without what is before.
Verdict judge(const Log& log, std::size_t from = 0, std::size_t bundle = 256) {
  Verdict verdict;
  History history(verdict);
  history.begin(std::string(log_origin), from != 0);
  const auto views = log.views();
  Leaf leaf;
  for (std::size_t at = from; at < views.size(); at += bundle) {
    const auto some = std::span(views).subspan(at, std::min(bundle, views.size() - at));
    history.take(facts_of(some, at, leaf));
  }
  history.finish();
  return verdict;
}

TEST(HistoryTest, FindsNothingInAGoodLog) {
  Log log;
  log.begin().sign(1).sign(3).sign(2).stop().begin().sign(1, "w-2").stop();
  for (const std::size_t bundle : {1, 2, 256}) {
    const auto verdict = judge(log, 0, bundle);
    EXPECT_THAT(ids(verdict), IsEmpty()) << text_of(verdict);
    EXPECT_TRUE(verdict.good());
  }
}

TEST(HistoryTest, FindsALeafInAnotherPlace) {
  Log log;
  log.begin().sign(1).sign(2).stop();
  std::swap(log.leaves()[2], log.leaves()[3]);
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("index-wrong", "index-wrong", "time-back"));
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 2 | it says that it is leaf 3"));
}

TEST(HistoryTest, FindsTimeThatGoesBack) {
  Log log;
  log.begin().wait(-1000).sign(1).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(text_of(verdict), HasSubstr("time-back | leaf 2 | its time is 990 ms before"));
  Log same;
  same.begin().wait(-10).sign(1).wait(-10).stop();
  EXPECT_TRUE(judge(same).good()) << "equal times are no step back";
  EXPECT_FALSE(judge(log, 0, 1).good()) << "across bundles too";
  Log behind;
  behind.begin().wait(-1000).sign(1).sign(2).stop();
  EXPECT_EQ(judge(behind).count(rules::time_back), 3U) << "each that is behind the latest";
}

TEST(HistoryTest, WantsALogToBeginWithItsOwnStart) {
  Log other;
  other.add("ledger.start", {{"origin", "demo.example/node-2"}}).stop();
  EXPECT_THAT(ids(judge(other)), ElementsAre("start-missing"));
  Log none;
  none.add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(none)), ElementsAre("start-missing"));
}

TEST(HistoryTest, FindsALeafBehindTheStop) {
  Log log;
  log.begin().stop().add("refusal", {}, {}, "refused").add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(log)), ElementsAre("leaf-after-stop"));
}

TEST(HistoryTest, FindsReleasedEventsThatNothingSigned) {
  for (const char* event : {"sign.avatar-id", "sign.shaken", "sign.div", "sign.avatar-metadata", "grant.access-token",
                            "issue.ue-certificate", "issue.crl", "ledger.export"}) {
    Log log;
    log.begin().add(event).add(event, {}, {}, "refused").add(event, {}, {}, "discarded").stop();
    EXPECT_THAT(ids(judge(log)), ElementsAre("signature-missing")) << event;
  }
  Log discarded;
  discarded.begin().add("sign.avatar-id", {}, {use("avatar-id", 1, "discarded")}).stop();
  EXPECT_THAT(ids(judge(discarded)), ElementsAre("signature-missing"));
}

TEST(HistoryTest, FindsASignatureOfAKeyOfAnotherKind) {
  Log log;
  log.begin().add("grant.access-token", {}, {use("avatar-id", 1)}).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("key-of-other-kind"));
  Log late;
  late.begin().add("grant.access-token", {}, {use("avatar-id", 1, "discarded"), use("access-token", 1)}).stop();
  EXPECT_THAT(ids(judge(late)), IsEmpty()) << "late answers of other keys come with the next leaf";
}

TEST(HistoryTest, FindsUsesThatWereLeftOut) {
  Log log;
  log.begin();
  log.add_text(
      fmt::format(R"({{"event":"refusal","index":2,"keys_omitted":3,"outcome":"refused","time":{}}})", log.time));
  log.stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("uses-omitted"));
}

TEST(HistoryTest, FindsMalformedLeavesAndGoesOn) {
  Log log;
  log.begin().add_text("{}").sign(1).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("leaf-malformed"));
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 2"));
}

TEST(HistoryTest, TellsOfRunsThatDidNotStop) {
  Log log;
  log.begin().sign(1).add("ledger.start", {{"origin", "demo.example/node-1"}, {"torn_bytes", 7}}).stop();
  const auto verdict = judge(log);
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(ids(verdict), ElementsAre("run-not-stopped", "torn-tail"));
}

TEST(HistoryTest, TakesWhatThePeriodBeforeLeft) {
  Verdict verdict;
  History history(verdict);
  Log first;
  first.begin().sign(1).sign(2);
  Log second;
  second.time = first.time;
  second.add("ledger.start", {{"origin", "demo.example/node-1"},
                              {"previous", {{"origin", log_origin}, {"root", "abc="}, {"size", 4}}}});
  second.time += 1'000'000;
  second.sign(3).sign(4).stop();
  Leaf leaf;
  history.begin(std::string(log_origin), false);
  history.take(facts_of(first.views(), 0, leaf));
  EXPECT_FALSE(history.previous());
  history.begin("demo.example/node-1/2027", false);
  history.take(facts_of(second.views(), 0, leaf));
  history.finish();
  EXPECT_THAT(ids(verdict), IsEmpty()) << text_of(verdict);
  ASSERT_TRUE(history.previous());
  EXPECT_EQ(history.previous()->origin, log_origin);
  EXPECT_EQ(history.previous()->size, 4U);
  EXPECT_EQ(history.previous()->root, "abc=");
  EXPECT_EQ(history.uses(), 4U);
}

TEST(HistoryTest, TellsOfARunThatEndedBetweenTwoPeriods) {
  Verdict verdict;
  History history(verdict);
  Log first;
  first.begin().sign(1).sign(2);
  Log second;
  second.time = first.time + 1'000'000;
  second.add("ledger.start", {{"interrupted", true},
                              {"origin", "demo.example/node-1"},
                              {"previous", {{"origin", log_origin}, {"root", "abc="}, {"size", 4}}}});
  second.sign(5).stop();
  Leaf leaf;
  history.begin(std::string(log_origin), false);
  history.take(facts_of(first.views(), 0, leaf));
  history.begin("demo.example/node-1/2027", false);
  history.take(facts_of(second.views(), 0, leaf));
  history.finish();
  EXPECT_THAT(ids(verdict), ElementsAre("run-not-stopped", "numbers-of-crash")) << text_of(verdict);
}

TEST(HistoryTest, BeginsMidway) {
  Log log;
  log.begin().sign(40).sign(41).sign(42).sign(43).wait(2 * settling_time).sign(44).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-missing"));
  const auto verdict = judge(log, 3);
  EXPECT_THAT(ids(verdict), IsEmpty()) << text_of(verdict);

  Log gap;
  gap.begin().sign(40).sign(42).wait(2 * settling_time).sign(44).wait(2 * settling_time).sign(45).stop();
  const auto later = judge(gap, 2);
  EXPECT_THAT(text_of(later), HasSubstr("no leaf tells of number 43"));
  EXPECT_THAT(ids(later), ElementsAre("numbers-missing")) << "41 may lie before";

  Log stranger;
  stranger.begin().add("sign.avatar-id", {}, {use("avatar-id", 9)}).loaded({loaded_key("ledger")});
  stranger.add("sign.avatar-id", {}, {use("avatar-id", 10)}).stop();
  EXPECT_THAT(text_of(judge(stranger, 2)), HasSubstr("key-unknown | leaf 4")) << "once the keys were named";
  EXPECT_EQ(judge(stranger, 2).count(rules::key_unknown), 1U) << "before, it may have been named earlier";
}

// No leaf has said yet of which kind the key is.
TEST(HistoryTest, TakesUsesThatAreToldMidwayForThoseOfCheckpoints) {
  const auto told = [](std::int64_t first, std::int64_t last) {
    const boost::json::object uses{{"key", "ledger"},
                                   {"kid", kid_of("ledger")},
                                   {"sequences", {boost::json::array{first, last}}},
                                   {"worker", "w-1"}};
    return boost::json::object{{"uses", boost::json::array{uses}}};
  };
  Log log;
  log.begin().add("ledger.checkpoints", told(5, 9)).wait(10 * settling_time);
  log.add("ledger.checkpoints", told(11, 12)).stop();
  EXPECT_THAT(ids(judge(log, 2)), IsEmpty()) << "10 may have been told before";
}

TEST(HistoryTest, BoundsWhatItTells) {
  Log log;
  log.begin();
  for (int i = 0; i < 40; ++i) log.add("sign.avatar-id");
  log.stop();
  const auto verdict = judge(log);
  EXPECT_EQ(ids(verdict).size(), Verdict::max_of_a_kind + 1);
  EXPECT_EQ(verdict.count(rules::signature_missing), 40U);
  EXPECT_THAT(text_of(verdict), HasSubstr("24 more like this"));
}

}  // namespace
}  // namespace avseal::audit::test
