// What the log publishes: checkpoints, tiles, and what is told of them.
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::HasSubstr;

class LedgerPublishingTest : public PublishingFixture {
 protected:
  [[nodiscard]] std::optional<std::string> metric(const std::string& name) {
    for (const auto& family : metrics.Collect()) {
      if (family.name == name)
        return fmt::format("{}", family.metric.at(0).gauge.value + family.metric.at(0).counter.value);
    }
    return std::nullopt;
  }
  void fail_signatures(std::optional<Error> failure) {
    const std::lock_guard lock(signer.mutex);
    signer.failure = std::move(failure);
  }
};

// Ends a test that hangs; says nothing about time.
void wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(holds());
}

Error hsm_away() {
  return avseal::errors::make(Category::unavailable, "hsm-unavailable", "no worker");
}

TEST_F(LedgerPublishingTest, CoversWhatIsCommitted) {
  auto ledger = open();
  for (int i = 0; i < 600; ++i) {
    const auto index = append(*ledger, event()).value();
    if (i % 50 != 0) continue;
    const auto published = covered(*ledger, index);
    ASSERT_TRUE(published);
    EXPECT_GT(published->size, index);
    EXPECT_EQ(published->origin, "operator.example/node-1/2025");
    EXPECT_EQ(published->size, ledger->published()->size);
    EXPECT_EQ(published->note, read_file(log() / "checkpoint"));
  }
  ledger->close();
  const auto all = judge(log(), signer.key());
  EXPECT_EQ(all.size(), 602U) << "the last leaf, too";
  EXPECT_EQ(all, leaves());
  expect_one_history(signer.texts, all);
  EXPECT_EQ(metric("avseal_ledger_published"), "602");
}

TEST_F(LedgerPublishingTest, WitnessesSignThePublishedCheckpointAndNoOther) {
  auto ledger = open();
  const auto first = covered(*ledger, 0).value();
  const auto signatures = [&] { return tlog::Note::parse(read_file(log() / "checkpoint")).value().signatures; };
  const tlog::NoteSignature witness{"witness.example", 7, Bytes(72, 1)};
  const tlog::NoteSignature again{"witness.example", 7, Bytes(72, 2)};
  ledger->cosigned(first, {witness});
  wait_until([&] { return ledger->published()->note != first.note; });
  EXPECT_EQ(signatures().back(), witness);
  ledger->cosigned(first, {again});
  wait_until([&] { return signatures().back() == again; });
  EXPECT_EQ(signatures().size(), 2U);

  const auto second = covered(*ledger, append(*ledger, event()).value()).value();
  EXPECT_EQ(signatures().size(), 1U);
  ledger->cosigned(first, {witness});  // too late
  ledger->cosigned(second, {again});
  wait_until([&] { return signatures().size() == 2; });
  EXPECT_EQ(signatures().back(), again);
  ledger->close();
  judge(log(), signer.key());
}

TEST_F(LedgerPublishingTest, NothingIsSignedWhenNothingGrew) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  const auto signatures = [&] {
    const std::lock_guard lock(signer.mutex);
    return signer.texts.size();
  };
  const auto before = signatures();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(signatures(), before);
}

TEST_F(LedgerPublishingTest, LeafThatIsNotThereIsNotWaitedFor) {
  auto ledger = open();
  EXPECT_EQ(covered(*ledger, 1).error().reason, "ledger-index-unknown");
}

TEST_F(LedgerPublishingTest, WaitingEndsAtItsDeadline) {
  auto ledger = try_open().value();
  const auto late = run(ledger->covered(0, std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
  EXPECT_EQ(late.error().reason, "ledger-not-covered");
  EXPECT_GT(late.error().retry_after.count(), 0);
  EXPECT_FALSE(ledger->published());
}

TEST_F(LedgerPublishingTest, WithoutHeadsNothingIsPublished) {
  auto ledger = Fixture::open();
  ledger->use_signer(&signer);
  EXPECT_EQ(covered(*ledger, 0).error().reason, "ledger-not-covered");
  ledger->close();
  EXPECT_FALSE(std::filesystem::exists(log() / "checkpoint"));
}

TEST_F(LedgerPublishingTest, GoesOnAfterARestart) {
  for (int round = 0; round < 4; ++round) {
    auto ledger = open();
    for (int i = 0; i < 100 * round; ++i) ASSERT_TRUE(append(*ledger, event()));
    ledger->close();
    expect_one_history(signer.texts, judge(log(), signer.key()));
  }
  EXPECT_EQ(leaves().size(), 608U);
}

TEST_F(LedgerPublishingTest, LeavesOfATimeWithoutHeadsArePublishedLater) {
  auto closed = Fixture::open();
  ASSERT_TRUE(append(*closed, event("act.begun")));
  closed->close();
  open()->close();
  EXPECT_EQ(judge(log(), signer.key()).size(), 5U);
  Fixture::open()->close();
  EXPECT_EQ(leaves().size(), 7U);
  open()->close();
  EXPECT_EQ(judge(log(), signer.key()).size(), 9U);
}

TEST_F(LedgerPublishingTest, GrowsWhileTheHsmIsAwayAndPublishesWhenItIsBack) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  fail_signatures(hsm_away());
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(append(*ledger, event()));
  ASSERT_TRUE(eventually([&] { return metric("avseal_ledger_checkpoint_failures_total"); }));
  EXPECT_TRUE(ledger->healthy());
  EXPECT_EQ(ledger->published()->size, 1U);
  fail_signatures(std::nullopt);
  EXPECT_TRUE(covered(*ledger, 300));
}

TEST_F(LedgerPublishingTest, SignsNoMoreOnceTheSignerWasTakenAway) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  ledger->use_signer(nullptr);
  const auto index = append(*ledger, event()).value();
  const auto late = run(ledger->covered(index, std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
  EXPECT_EQ(late.error().reason, "ledger-not-covered");
  ledger->close();
  EXPECT_EQ(ledger->published()->size, 1U);
}

TEST_F(LedgerPublishingTest, DuringARotationBothKeysSign) {
  SoftSigner earlier;
  signer.cosigner = &earlier;
  open()->close();
  judge(log(), signer.key());
  judge(log(), earlier.key());
  signer.cosigner = nullptr;
  auto with = config();
  with.keys = {earlier.key()};
  auto ledger = Fixture::try_open(with);
  EXPECT_TRUE(ledger) << "the head has its signature: " << ledger.error().detail;
}

TEST_F(LedgerPublishingTest, SignatureThatDoesNotVerifyIsNotPublished) {
  class WrongSigner final : public CheckpointSigner {
   public:
    explicit WrongSigner(SoftSigner& signer) : signer_(signer) {}
    Result<std::vector<CheckpointSignature>> sign(const CheckpointPermit& permit, const std::string& text) override {
      return signer_.sign(permit, text + "x");
    }

   private:
    SoftSigner& signer_;
  } wrong(signer);
  auto ledger = try_open().value();
  ledger->use_signer(&wrong);
  ASSERT_TRUE(eventually([&] { return metric("avseal_ledger_checkpoint_failures_total"); }));
  EXPECT_TRUE(heads.notes.empty());
  ledger->use_signer(&signer);
  EXPECT_TRUE(covered(*ledger, 0));
}

TEST_F(LedgerPublishingTest, StoreThatDidItButSaidNoIsBelieved) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  {
    const std::lock_guard lock(heads.mutex);
    heads.fails_when_done = true;
  }
  const auto index = append(*ledger, event()).value();
  EXPECT_TRUE(covered(*ledger, index));
  ledger->close();
  expect_one_history(heads.notes, judge(log(), signer.key()));
}

TEST_F(LedgerPublishingTest, AnotherHeadInTheStoreStopsTheLogForGood) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  {
    const std::lock_guard lock(heads.mutex);
    heads.rows.begin()->second.size = 77;
  }
  (void)append(*ledger, event());
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  EXPECT_EQ(ledger->healthy().error().reason, "ledger-head");
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-head");
}

TEST_F(LedgerPublishingTest, AnotherCheckpointInTheDirectoryStopsTheLogForGood) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  const auto earlier = read_file(log() / "checkpoint");
  ASSERT_TRUE(covered(*ledger, append(*ledger, event()).value()));
  write_file(log() / "checkpoint", earlier);
  (void)append(*ledger, event());
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  EXPECT_EQ(ledger->healthy().error().reason, "ledger-head");
  EXPECT_THAT(ledger->healthy().error().detail, HasSubstr("is not what this process published"));
}

TEST_F(LedgerPublishingTest, SegmentsThatAreInTilesGo) {
  auto with = config();
  with.segment_bytes = 2000;
  auto ledger = Fixture::open(with);
  ledger->use_signer(&signer);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(append(*ledger, event()));
  ASSERT_TRUE(covered(*ledger, 100));
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(log() / "00000000000000000000.leaves"); }));
  ledger->close();
  EXPECT_EQ(judge(log(), signer.key()).size(), 102U);
  EXPECT_EQ(leaves().size(), 102U);
  EXPECT_EQ(Fixture::open(with)->size(), 103U);
}

// The sequences that the leaves tell, and those of the last checkpoints, which no leaf tells yet.
std::set<std::int64_t> told(const std::vector<std::string>& leaves, const std::string& more) {
  std::set<std::int64_t> sequences;
  const auto add = [&](const boost::json::value& uses) {
    for (const auto& use : uses.as_array()) {
      EXPECT_EQ(use.at("worker").as_string(), "worker-1");
      EXPECT_EQ(use.at("key").as_string(), "ledger");
      for (const auto& run : use.at("sequences").as_array()) {
        for (auto i = run.at(0).as_int64(); i <= run.at(1).as_int64(); ++i) {
          EXPECT_TRUE(sequences.insert(i).second) << i << " is told twice";
        }
      }
    }
  };
  for (const auto& leaf : leaves) {
    const auto value = boost::json::parse(leaf);
    const auto* details = value.as_object().if_contains("details");
    const auto* uses = details == nullptr ? nullptr : details->as_object().if_contains("uses");
    if (uses != nullptr) add(*uses);
  }
  if (!more.empty()) add(boost::json::parse(more));
  return sequences;
}

TEST_F(LedgerPublishingTest, EachUseOfTheLedgerKeyIsTold) {
  for (int round = 0; round < 3; ++round) {
    auto ledger = open();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(covered(*ledger, append(*ledger, event()).value()));
    ledger->close();
  }
  const auto sequences = told(leaves(), heads.rows.begin()->second.uses);
  EXPECT_EQ(sequences.size(), signer.texts.size());
  EXPECT_EQ(*sequences.begin(), 1);
  EXPECT_EQ(*sequences.rbegin(), static_cast<std::int64_t>(signer.texts.size()));
}

TEST(CheckpointUsesTest, AreRunsAndComeBackFromText) {
  CheckpointUses uses;
  EXPECT_EQ(uses.text(), "");
  for (const std::uint64_t i : {1U, 2U, 3U, 7U}) uses.add({"ledger", "kid", "w", i, {}, "signed"});
  uses.add({"ledger", "kid", "v", 4, {}, "signed"});
  EXPECT_EQ(uses.text(), R"([{"key":"ledger","kid":"kid","sequences":[[4,4]],"worker":"v"},)"
                         R"({"key":"ledger","kid":"kid","sequences":[[1,3],[7,7]],"worker":"w"}])");
  EXPECT_EQ(CheckpointUses::parse(uses.text())->text(), uses.text());
  EXPECT_EQ(uses.runs(), 3U);
  const std::string good = R"([{"key":"a","kid":"b","sequences":[[1,2]],"worker":"w"}])";
  EXPECT_TRUE(CheckpointUses::parse(good));
  const auto with = [&](std::string_view what, std::string_view by) {
    std::string text = good;
    return text.replace(text.find(what), what.size(), by);
  };
  for (const std::string& wrong :
       {std::string("x"), std::string("{}"), std::string("[]"), std::string("[1]"), std::string("[{}]"), good + " ",
        with("[1,2]", "1"), with("[1,2]", "[1]"), with("[1,2]", "[1,2,3]"), with("[1,2]", "[2,1]"),
        with("[1,2]", "[0,2]"), with("[1,2]", "[-2,-1]"), with("[1,2]", "[1,2.0]"), with("[1,2]", "[\"1\",2]"),
        with("\"w\"", "1"), with("}]", ",\"x\":1}]"),
        with("}]", R"(},{"key":"a","kid":"b","sequences":[],"worker":"w"}])")}) {
    EXPECT_EQ(CheckpointUses::parse(wrong).error().reason, "ledger-head") << wrong;
  }
}

class LedgerClockTest : public PublishingFixture {};

TEST_F(LedgerClockTest, TimesNeverDecrease) {
  auto ledger = open();
  ASSERT_TRUE(append(*ledger, event()));
  clock.advance(-2);
  EXPECT_TRUE(append(*ledger, event())) << "as if it were slewed";
  auto waiting = run(ledger->open_slot(event()));
  clock.advance(-1);
  const auto refused = append(*ledger, event());
  EXPECT_EQ(refused.error().reason, "ledger-clock");
  EXPECT_EQ(refused.error().retry_after.count(), 3);
  EXPECT_EQ(ledger->healthy().error().reason, "ledger-clock");
  EXPECT_TRUE(run(waiting->commit(Outcome::released))) << "it was begun before";
  ledger->close();

  auto again = try_open();
  ASSERT_TRUE(again) << "the ledger's own leaves go on: " << again.error().detail;
  EXPECT_EQ(append(**again, event()).error().reason, "ledger-clock");
  clock.advance(3);
  EXPECT_TRUE(append(**again, event()));
  (*again)->close();

  std::int64_t last = 0;
  for (const auto& leaf : leaves()) {
    const auto time = leaf_time(leaf);
    EXPECT_GE(time, last);
    last = time;
  }
}

}  // namespace
}  // namespace avseal::ledger::test
