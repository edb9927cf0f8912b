// Numbers of signatures and keys, as leaves tell them.
#include "audit/rules.hpp"
#include "support.hpp"

namespace avseal::audit::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Verdict judge(const Log& log) {
  Verdict verdict;
  History history(verdict);
  history.begin(std::string(log_origin), false);
  Leaf leaf;
  history.take(facts_of(log.views(), 0, leaf));
  history.finish();
  return verdict;
}

constexpr std::int64_t long_after = 10 * settling_time;

TEST(CountersTest, FindsAMissingNumber) {
  Log log;
  log.begin().sign(1).sign(3).sign(4).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-missing"));
  EXPECT_THAT(text_of(verdict), HasSubstr("worker w-1, key avatar-id | no leaf tells of number 2"));
  Log first;
  first.begin().sign(2).stop();
  EXPECT_THAT(text_of(judge(first)), HasSubstr("number 1"));
}

TEST(CountersTest, FindsANumberThatIsThereTwice) {
  Log log;
  log.begin().sign(1).sign(2).sign(2).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("number-doubled"));
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 4"));
}

TEST(CountersTest, CountsEachKeyAndWorkerForItself) {
  Log log;
  log.begin().sign(1).sign(1, "w-2").add("grant.access-token", {}, {use("access-token", 1)}).stop();
  EXPECT_THAT(ids(judge(log)), IsEmpty());
}

TEST(CountersTest, ADeathAccountsForAsManyAsWereInFlight) {
  Log log;
  log.begin().sign(1).sign(4).lost("w-1", 2, {{"avatar-id", 4}}).wait(long_after).stop();
  const auto good = judge(log);
  EXPECT_TRUE(good.good());
  EXPECT_THAT(ids(good), ElementsAre("numbers-of-death"));
  EXPECT_THAT(text_of(good), HasSubstr("worker w-1, key avatar-id | 2 signatures have no leaf"));

  Log more;
  more.begin().sign(1).sign(5).lost("w-1", 2, {{"avatar-id", 5}}).wait(long_after).stop();
  const auto verdict = judge(more);
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-missing", "numbers-of-death"));
  EXPECT_THAT(text_of(verdict), HasSubstr("account for 2 of them, not for 1"));

  Log other;
  other.begin().sign(1).sign(4).lost("w-2", 2).wait(long_after).stop();
  EXPECT_THAT(ids(judge(other)), ElementsAre("numbers-missing")) << "another worker's death";
}

TEST(CountersTest, ADeathAccountsForNoMoreThanAConnectionCanHold) {
  const auto limit = [](std::int64_t most) {
    Log log;
    return log.start().add("keys.loaded", {{"keys", {loaded_key("avatar-id")}}, {"unlogged_limit", most}});
  };
  EXPECT_THAT(ids(judge(limit(100).sign(102).lost("w-1", 101).wait(long_after).stop())),
              ElementsAre("loss-too-large", "numbers-missing", "numbers-of-death"));
  EXPECT_THAT(ids(judge(limit(100).sign(101).lost("w-1", 100).wait(long_after).stop())),
              ElementsAre("numbers-of-death"));
  EXPECT_THAT(ids(judge(limit(100'000).sign(4097).lost("w-1", 4096).stop())), ElementsAre("numbers-of-death"));
  const auto verdict = judge(limit(100'000).sign(4098).lost("w-1", 4097).stop());
  EXPECT_THAT(ids(verdict), ElementsAre("loss-too-large", "numbers-missing", "numbers-of-death"));
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 3 | worker w-1 with 4097 requests in flight, of at most 4096"));
  Log smaller = limit(100);
  smaller.sign(91).lost("w-1", 90);
  smaller.add("keys.loaded", {{"keys", {loaded_key("avatar-id")}}, {"unlogged_limit", 50}}).stop();
  EXPECT_THAT(ids(judge(smaller)), ElementsAre("numbers-of-death")) << "a limit that is smaller later";
}

TEST(CountersTest, ADeathAtTheCloseAccountsForWhatItHeld) {
  Log log;
  log.begin().sign(1).sign(4).lost("w-1", 2, {{"avatar-id", 4}}).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-of-death"));
  Log untold;
  untold.begin().sign(1).lost("w-1", 2, {{"avatar-id", 3}}).stop();
  EXPECT_THAT(ids(judge(untold)), ElementsAre("numbers-of-death"))
      << "2 and 3 were answered, and no leaf could take them";
  Log more;
  more.begin().sign(1).lost("w-1", 1, {{"avatar-id", 3}}).stop();
  EXPECT_THAT(ids(judge(more)), ElementsAre("numbers-missing", "numbers-of-death"));
  Log late;
  late.begin().sign(1).sign(3).stop().lost("w-1", 1).wait(long_after).add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(late)), ElementsAre("leaf-after-stop", "numbers-of-death"))
      << "and it accounts for its one all the same";
}

TEST(CountersTest, LateSignaturesHaveALeafOfTheirOwn) {
  const auto late = [](std::uint64_t sequence) { return boost::json::array{use("avatar-id", sequence, "discarded")}; };
  Log log;
  log.begin().sign(1).sign(3).add("keys.late", {}, late(2)).stop();
  EXPECT_THAT(ids(judge(log)), IsEmpty());
  Log none;
  none.begin().sign(1).sign(3).add("keys.late", {}, {use("access-token", 1, "discarded")}).stop();
  EXPECT_THAT(ids(judge(none)), ElementsAre("numbers-missing")) << "of another key";
  Log twice;
  twice.begin().sign(1).sign(2).add("keys.late", {}, late(2)).stop();
  EXPECT_THAT(ids(judge(twice)), ElementsAre("number-doubled"));
  Log stranger;
  stranger.begin().add("keys.late", {}, {use("other", 1, "discarded")}).stop();
  EXPECT_THAT(ids(judge(stranger)), ElementsAre("key-unknown"));
  Log retired;
  retired.begin().sign(1).loaded({loaded_key("next", "active", "avatar-id")}).wait(long_after);
  retired.add("keys.late", {}, late(2)).stop();
  EXPECT_THAT(ids(judge(retired)), ElementsAre("key-retired")) << "discarded or not, it signed";
}

TEST(CountersTest, AddsUpTheConnectionsOfAWorker) {
  Log log;
  log.begin().sign(1).sign(5).lost("w-1", 2).lost("w-1", 1).wait(long_after).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-of-death"));
}

TEST(CountersTest, SharesADeathAmongKeys) {
  Log log;
  log.begin().sign(2).add("grant.access-token", {}, {use("access-token", 2)}).lost("w-1", 2).wait(long_after).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-of-death", "numbers-of-death"));
  Log less;
  less.begin().sign(2).add("grant.access-token", {}, {use("access-token", 2)}).lost("w-1", 1).wait(long_after).stop();
  EXPECT_THAT(ids(judge(less)), ElementsAre("numbers-of-death", "numbers-missing"));
}

TEST(CountersTest, ADeathDoesNotAccountForWhatWasMissingLongBefore) {
  Log log;
  log.begin().sign(1).sign(3).wait(long_after).lost("w-1", 5).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-missing"));
}

TEST(CountersTest, LeavesLaterDeathsToLaterGaps) {
  Log log;
  log.begin().add("grant.access-token", {}, {use("access-token", 2)}).lost("w-1", 1).wait(long_after);
  log.sign(2).lost("w-1", 1).wait(long_after).stop();
  EXPECT_TRUE(judge(log).good()) << "avatar-id is judged last and its gap is the later one";
}

TEST(CountersTest, FindsWhatADeathSaysWasAnsweredAndNoLeafTells) {
  Log log;
  log.begin().sign(1).lost("w-1", 0, {{"avatar-id", 3}}).wait(long_after).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-missing"));
  EXPECT_THAT(text_of(verdict), HasSubstr("numbers 2 to 3"));
  log.lost("w-1", 0, {{"avatar-id", 2}}).wait(long_after).stop();
  EXPECT_THAT(text_of(judge(log)), HasSubstr("numbers 2 to 3")) << "another connection that saw less";
}

TEST(CountersTest, FindsWhatAWorkerSaysItCountedAndNoLeafTells) {
  Log good;
  good.begin().sign(1).sign(2).connected("w-1", {{"avatar-id", 2}}).connected("w-1", {{"avatar-id", 1}}).stop();
  EXPECT_THAT(ids(judge(good)), IsEmpty());
  Log later;
  later.begin().sign(1).connected("w-1", {{"avatar-id", 3}}).sign(4).sign(3).sign(2).stop();
  EXPECT_THAT(ids(judge(later)), IsEmpty()) << "leaves that were under way";

  Log above;
  above.begin().sign(1).stop().begin().connected("w-1", {{"avatar-id", 4}}).stop();
  const auto verdict = judge(above);
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-missing"));
  EXPECT_THAT(text_of(verdict), HasSubstr("worker w-1, key avatar-id | no leaf tells of numbers 2 to 4"));
  Log stranger;
  stranger.begin().connected("w-9", {{"other", 2}}).stop();
  EXPECT_THAT(text_of(judge(stranger)), HasSubstr("worker w-9, key other | no leaf tells of numbers 1 to 2"))
      << "a key that the node never used";
  Log waits;
  waits.begin().sign(1).connected("w-1", {{"avatar-id", 4}});
  EXPECT_THAT(ids(judge(waits)), ElementsAre("numbers-awaited"));
  waits.wait(long_after).sign(5);
  EXPECT_THAT(text_of(judge(waits)), HasSubstr("numbers 2 to 4"));
}

TEST(CountersTest, ADeathAccountsForWhatAWorkerCountedAfterwards) {
  Log log;
  log.begin().sign(1).lost("w-1", 3).connected("w-1", {{"avatar-id", 3}}).wait(long_after).sign(5).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-of-death")) << "two had ended at the hello, one went on";
  Log more;
  more.begin().sign(1).lost("w-1", 3).connected("w-1", {{"avatar-id", 5}}).wait(long_after).stop();
  EXPECT_THAT(text_of(judge(more)), HasSubstr("account for 3 of them, not for 1"));
  Log before;
  before.begin().sign(1).connected("w-1", {{"avatar-id", 2}}).wait(long_after).lost("w-1", 5).sign(3).stop();
  EXPECT_THAT(ids(judge(before)), ElementsAre("numbers-missing")) << "it was missing long before the death";
}

TEST(CountersTest, ADeathDoesNotAccountForWhatAWorkerCountedLongAfterIt) {
  const auto log = [](std::int64_t told) {
    Log made;
    made.begin().sign(1).lost("w-1", 5).wait(2 * long_after).connected("w-1", {{"avatar-id", told}}).wait(long_after);
    return made;
  };
  EXPECT_TRUE(judge(log(3).stop()).good()) << "when these were made nobody knows";
  EXPECT_TRUE(judge(log(3).sign(4).sign(5).stop()).good());
  const auto verdict = judge(log(3).sign(4).sign(6).stop());
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-missing", "numbers-of-death"));
  EXPECT_THAT(text_of(verdict), HasSubstr("number 5"));
  EXPECT_THAT(ids(judge(log(1).connected("w-1", {{"avatar-id", 2}}).stop())), ElementsAre("numbers-missing"));
}

TEST(CountersTest, ADeathThatWaitedForTheLogAccountsForWhatWasMissingWhenItHappened) {
  const auto death = [](std::int64_t waited) {
    return boost::json::object{{"id", "a"},        {"in_flight", 1},      {"last_sequences", boost::json::object()},
                               {"token", "hsm-a"}, {"waited_ms", waited}, {"worker", "w-1"}};
  };
  Log log;
  log.begin().sign(1).sign(3).wait(long_after).add("worker.lost", death(long_after)).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-of-death"));
  Log shorter;
  shorter.begin().sign(1).sign(3).wait(long_after).add("worker.lost", death(long_after / 2)).stop();
  EXPECT_THAT(ids(judge(shorter)), ElementsAre("numbers-missing"));
  Log twice;
  twice.begin().sign(1).sign(4).add("worker.lost", death(0)).add("worker.lost", death(500)).stop();
  EXPECT_THAT(text_of(judge(twice)), HasSubstr("account for 1 of them, not for 1")) << "one death, told twice";
}

TEST(CountersTest, ACrashAccountsForWhatAWorkerCountedUpToItsLimit) {
  const auto crashed = [](std::int64_t told) {
    Log log;
    log.begin().sign(1).start().connected("w-1", {{"avatar-id", told}});
    return log.loaded({loaded_key("avatar-id"), loaded_key("ledger")});
  };
  EXPECT_THAT(ids(judge(crashed(101).stop())), ElementsAre("run-not-stopped", "numbers-of-crash"));
  EXPECT_THAT(ids(judge(crashed(102).stop())), ElementsAre("run-not-stopped", "numbers-missing"));
  EXPECT_THAT(ids(judge(crashed(51).sign(102).sign(103).stop())), ElementsAre("run-not-stopped", "numbers-of-crash"))
      << "requests of the connection that ended went on";
  EXPECT_THAT(ids(judge(crashed(51).sign(103).stop())),
              ElementsAre("run-not-stopped", "numbers-missing", "numbers-of-crash"))
      << "no more in all";
  EXPECT_THAT(ids(judge(crashed(3).wait(2 * long_after).connected("w-1", {{"avatar-id", 5}}).stop())),
              ElementsAre("run-not-stopped", "numbers-missing", "numbers-of-crash"))
      << "of the run after it";
}

TEST(CountersTest, WaitsForUsesForCheckpointsAfterAConnection) {
  Log log;
  log.start().connected("w-1", {{"ledger", 9}}).loaded({loaded_key("ledger")}).wait(long_after);
  log.add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-awaited")) << "they are told once an hour";
  log.wait(checkpoint_settling_time).add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-missing"));
}

TEST(CountersTest, WaitsForLeavesOfARunningNode) {
  Log log;
  log.begin().sign(1).sign(4);
  const auto verdict = judge(log);
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-awaited"));
  EXPECT_THAT(text_of(verdict), HasSubstr("2 of the last signatures"));
  log.wait(long_after).sign(5);
  EXPECT_THAT(ids(judge(log)), ElementsAre("numbers-missing")) << "not for ever";

  Log many;
  many.begin().sign(1).sign(200);
  EXPECT_THAT(ids(judge(many)), ElementsAre("numbers-missing")) << "more than can be under way";
  many.loaded({loaded_key("avatar-id")})
      .add("keys.loaded", {{"keys", {loaded_key("avatar-id")}}, {"unlogged_limit", 198}});
  EXPECT_THAT(ids(judge(many)), ElementsAre("numbers-awaited")) << "more keys or workers, and it can";

  Log both;
  both.begin().sign(1).sign(60).sign(120);
  EXPECT_THAT(ids(judge(both)), ElementsAre("numbers-missing", "numbers-awaited")) << "all gaps together";
}

TEST(CountersTest, TellsWhatACrashLeftOut) {
  Log log;
  log.begin().sign(1).sign(3).start().loaded({loaded_key("avatar-id")}).wait(long_after).sign(7).sign(8).stop();
  const auto verdict = judge(log);
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_THAT(ids(verdict), ElementsAre("run-not-stopped", "numbers-of-crash"));
  EXPECT_THAT(text_of(verdict), HasSubstr("4 signatures have no leaf"));

  Log later;
  later.begin().sign(1).start().loaded({loaded_key("avatar-id")}).sign(3).sign(5).stop();
  EXPECT_THAT(ids(judge(later)), ElementsAre("run-not-stopped", "numbers-missing", "numbers-of-crash"))
      << "4 is of the run after the crash";

  Log fresh;
  fresh.begin().sign(1).stop().begin().sign(5, "w-2").stop();
  EXPECT_THAT(ids(judge(fresh)), ElementsAre("numbers-missing")) << "no crash";

  Log survived;
  survived.begin().sign(1).start().loaded({loaded_key("avatar-id")}).sign(5, "w-2").stop();
  EXPECT_THAT(ids(judge(survived)), ElementsAre("run-not-stopped", "numbers-of-crash"))
      << "a worker that outlived the node, and is first seen after it";
  survived.begin().sign(3, "w-3").stop();
  EXPECT_THAT(ids(judge(survived)), ElementsAre("run-not-stopped", "numbers-of-crash", "numbers-missing"))
      << "first seen behind a stop";

  Log many;
  many.begin().sign(1).sign(200).start().loaded({loaded_key("avatar-id")}).wait(long_after).sign(201).stop();
  EXPECT_THAT(ids(judge(many)), ElementsAre("run-not-stopped", "numbers-missing")) << "more than can be under way";
}

boost::json::object told(boost::json::array sequences) {
  const boost::json::object uses{
      {"key", "ledger"}, {"kid", kid_of("ledger")}, {"sequences", std::move(sequences)}, {"worker", "w-1"}};
  return {{"uses", boost::json::array{uses}}};
}

boost::json::array run(std::int64_t first, std::int64_t last) {
  return {first, last};
}

TEST(CountersTest, CountsTheSignaturesOfCheckpoints) {
  Log log;
  log.begin().add("ledger.export", {}, {use("ledger", 11)}).wait(checkpoint_settling_time / 2);
  log.add("ledger.checkpoints", told({run(1, 4), run(6, 10)})).add("ledger.stop", told({run(5, 5), run(12, 12)}));
  EXPECT_THAT(ids(judge(log)), IsEmpty());

  Log doubled;
  doubled.begin().add("ledger.checkpoints", told({run(1, 10)})).add("ledger.stop", told({run(10, 12)}));
  EXPECT_THAT(ids(judge(doubled)), ElementsAre("number-doubled"));

  const boost::json::array bad[] = {
      {run(3, 2)}, {run(0, 2)}, {run(1, 2'000'000)}, {boost::json::array{1}}, {1}, {boost::json::array{"1", 2}}};
  for (const auto& sequences : bad) {
    Log malformed;
    malformed.begin().add("ledger.checkpoints", told(sequences)).stop();
    EXPECT_THAT(ids(judge(malformed)), ElementsAre("details-malformed")) << sequences;
  }
}

TEST(CountersTest, UsesForCheckpointsMayBeToldLate) {
  Log running;
  running.begin().add("ledger.checkpoints", told({run(1, 3), run(5, 9)})).wait(long_after);
  running.add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(running)), ElementsAre("numbers-awaited"));
  running.wait(checkpoint_settling_time).add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(judge(running)), ElementsAre("numbers-missing"));

  Log crashed;
  crashed.begin().sign(1).add("ledger.checkpoints", told({run(1, 3), run(5, 9)})).wait(long_after).sign(2);
  crashed.start().stop();
  EXPECT_THAT(ids(judge(crashed)), ElementsAre("run-not-stopped", "numbers-of-crash"));
  Log other;
  other.begin().sign(1).sign(3).wait(long_after).sign(4).start().stop();
  EXPECT_THAT(ids(judge(other)), ElementsAre("run-not-stopped", "numbers-missing")) << "others would have been told";
}

TEST(CountersTest, UsesForCheckpointsAreOfKeysThatMaySign) {
  Log unknown;
  auto details = told({run(1, 2)});
  details["uses"].as_array()[0].as_object()["kid"] = kid_of("stranger");
  unknown.begin().add("ledger.checkpoints", details).stop();
  EXPECT_THAT(ids(judge(unknown)), ElementsAre("key-unknown"));
  Log kind;
  details = told({run(1, 2)});
  details["uses"].as_array()[0].as_object()["key"] = "avatar-id";
  details["uses"].as_array()[0].as_object()["kid"] = kid_of("avatar-id");
  kind.begin().add("ledger.checkpoints", details).stop();
  EXPECT_THAT(ids(judge(kind)), ElementsAre("key-of-other-kind"));
}

// They are told at most once an hour, and by a node that has nothing else to tell much later.
TEST(CountersTest, UsesForCheckpointsMayBeToldAfterTheirKeyChanged) {
  const boost::json::array none{loaded_key("next", "active", "ledger")};
  const boost::json::array staged{loaded_key("next", "active", "ledger"), loaded_key("ledger", "staged")};
  for (const auto& keys : {none, staged}) {
    Log log;
    log.begin().loaded({loaded_key("next", "active", "ledger"), loaded_key("ledger", "verifying")}).wait(long_after);
    log.loaded(keys).wait(5 * checkpoint_settling_time).add("ledger.checkpoints", told({run(1, 2)}));
    auto again = log;
    EXPECT_THAT(ids(judge(log.stop())), IsEmpty()) << "made before the change";
    again.wait(long_after).add("ledger.stop", told({run(3, 3)}));
    EXPECT_THAT(ids(judge(again)), ElementsAre(keys == none ? "key-retired" : "key-not-active"));
  }
  Log never;
  never.start().loaded(staged).add("ledger.checkpoints", told({run(1, 2)})).stop();
  EXPECT_THAT(ids(judge(never)), ElementsAre("key-not-active")) << "it never was anything else";

  auto start = told({run(1, 2)});
  start["origin"] = "demo.example/node-1";
  Log twice;
  twice.begin().loaded(none).wait(long_after).add("ledger.checkpoints", told({run(1, 2)}));
  twice.wait(long_after).add("ledger.start", start).stop();
  EXPECT_THAT(ids(judge(twice)), ElementsAre("run-not-stopped")) << "told again by the next start";
  Log late;
  late.begin().loaded(none).wait(long_after).add("ledger.start", start).stop();
  EXPECT_THAT(ids(judge(late)), ElementsAre("run-not-stopped")) << "or by it alone, after the node was off";
}

TEST(CountersTest, TakesWhatAStartTellsAgain) {
  auto start = told({run(1, 12)});
  start["origin"] = "demo.example/node-1";
  Log log;
  log.begin().add("ledger.checkpoints", told({run(1, 10)})).add("ledger.start", start).loaded({loaded_key("ledger")});
  log.add("ledger.stop", told({run(13, 14)}));
  EXPECT_THAT(ids(judge(log)), ElementsAre("run-not-stopped"));

  Log stopped;
  stopped.begin().add("ledger.stop", told({run(1, 10)})).add("ledger.start", start).stop();
  EXPECT_THAT(ids(judge(stopped)), IsEmpty());

  Log twice;
  twice.begin().add("ledger.checkpoints", told({run(1, 10)})).add("ledger.stop", told({run(10, 10)}));
  EXPECT_THAT(ids(judge(twice)), ElementsAre("number-doubled")) << "only a start may";
}

TEST(CountersTest, FindsDetailsThatAccountForNothing) {
  Log log;
  log.begin().add("worker.lost", {{"worker", "w-1"}}).add("keys.loaded", {{"keys", 1}}).stop();
  log.begin().lost("w-1", 1, {{"avatar-id", -1}}).lost("w-1", 1, {{"avatar-id", "1"}}).stop();
  log.begin().connected("", {}).add("worker.connected", {{"worker", "w-1"}}).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("details-malformed", "details-malformed", "details-malformed",
                                           "details-malformed", "details-malformed", "details-malformed"));
}

TEST(KeysTest, FindsAKeyThatNoLeafNamed) {
  Log log;
  log.start().sign(1).loaded({loaded_key("avatar-id")}).sign(2).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("key-unknown"));
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 1"));

  Log other_name;
  auto other = use("avatar-id", 1);
  other["key"] = "avatar-id-2";
  other_name.begin().sign(1).add("sign.avatar-id", {}, {other}).stop();
  EXPECT_THAT(ids(judge(other_name)), ElementsAre("key-unknown"));
}

TEST(KeysTest, FindsAKeyThatWasRetired) {
  Log log;
  log.begin().sign(1).loaded({loaded_key("next", "active", "avatar-id")}).sign(2).wait(long_after).sign(3).stop();
  const auto verdict = judge(log);
  EXPECT_THAT(ids(verdict), ElementsAre("key-retired")) << text_of(verdict);
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 5"));

  Log again;
  again.begin().loaded({loaded_key("next", "active", "avatar-id")}).wait(long_after);
  again.loaded({loaded_key("next", "active", "avatar-id")}).sign(1).stop();
  EXPECT_THAT(ids(judge(again)), ElementsAre("key-retired")) << "since the first leaf that does not name it";
}

TEST(KeysTest, FindsAKeyThatIsNotActive) {
  Log staged;
  staged.start().loaded({loaded_key("avatar-id", "staged")}).sign(1).stop();
  EXPECT_THAT(ids(judge(staged)), ElementsAre("key-not-active"));

  Log replaced;
  replaced.begin().loaded({loaded_key("avatar-id", "verifying")}).sign(1).wait(long_after).sign(2).stop();
  EXPECT_THAT(ids(judge(replaced)), ElementsAre("key-not-active"));

  Log overlap;
  overlap.begin().loaded({loaded_key("ledger", "verifying")}).wait(long_after);
  overlap.add("ledger.export", {}, {use("ledger", 1)}).stop();
  EXPECT_THAT(ids(judge(overlap)), IsEmpty()) << "the log's key signs on beside its successor";
}

TEST(KeysTest, RemembersSinceWhenAStateIs) {
  Log log;
  log.begin().loaded({loaded_key("avatar-id", "verifying")}).wait(long_after);
  log.loaded({loaded_key("avatar-id", "verifying")}).sign(1).stop();
  EXPECT_THAT(ids(judge(log)), ElementsAre("key-not-active"));
}

}  // namespace
}  // namespace avseal::audit::test
