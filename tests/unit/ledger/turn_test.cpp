// The turn of the year: one log ends, the next begins.
#include "ledger/period.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::int64_t two_months = 60 * 86'400;  // the tests' clock begins in November 2025

class LedgerTurnTest : public PublishingFixture {
 protected:
  [[nodiscard]] bool turned(const Ledger& ledger) {
    return eventually([&] { return ledger.origin() == "operator.example/node-1/2026"; });
  }
  [[nodiscard]] fs::path closed() const { return log() / "closed" / "2025"; }

  // For a clock that jumps: the log waits by one that runs.
  void look_at_the_clock(Ledger& ledger) { ledger.use_signer(&signer); }

  // The new log's first leaf names what was closed.
  void expect_continued() {
    const auto first = boost::json::parse(leaves().at(0)).as_object();
    EXPECT_EQ(first.at("event"), "ledger.start");
    const auto& details = first.at("details").as_object();
    EXPECT_EQ(details.at("origin"), "operator.example/node-1/2026");
    const auto last = read_published(closed()).value().value();
    const auto& previous = details.at("previous").as_object();
    EXPECT_EQ(previous.at("origin").as_string(), last.origin);
    EXPECT_EQ(previous.at("size").to_number<std::uint64_t>(), last.size);
    EXPECT_EQ(previous.at("root").as_string(), tlog::hash_text(last.root));
  }
};

TEST_F(LedgerTurnTest, BeginsTheNextLogWhileItRuns) {
  auto ledger = open();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(append(*ledger, event()));
  clock.advance(two_months);
  const auto last = append(*ledger, event("last")).value();
  const bool turned_before = last == 1;  // the publisher was awake still
  ASSERT_TRUE(turned(*ledger));
  const auto next = append(*ledger, event()).value();
  EXPECT_EQ(next, turned_before ? 2U : 1U);
  EXPECT_EQ(covered(*ledger, next)->origin, "operator.example/node-1/2026");
  ledger->close();
  const auto old = judge(closed(), signer.key());
  ASSERT_EQ(old.size(), turned_before ? 301U : last + 1);
  EXPECT_EQ(boost::json::parse(old.back()).at("event"), turned_before ? "sign.avatar-id" : "last");
  EXPECT_EQ(judge(log(), signer.key()).size(), next + 2);
  expect_continued();
}

TEST_F(LedgerTurnTest, LosesNothingOfWhatIsWrittenMeanwhile) {
  auto ledger = open();
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  std::atomic<int> released{0};
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      while (!stop) {
        if (append(*ledger, event())) ++released;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return released > 100; }));
  clock.advance(two_months);
  EXPECT_TRUE(turned(*ledger));
  const int before = released;
  EXPECT_TRUE(eventually([&] { return released > before + 100; }));
  stop = true;
  for (auto& writer : writers) writer.join();
  ledger->close();
  const auto old = judge(closed(), signer.key()).size();
  const auto now = judge(log(), signer.key()).size();
  EXPECT_EQ(old + now, static_cast<std::size_t>(released) + 3) << "and start, start, stop";
  expect_continued();
}

TEST_F(LedgerTurnTest, ComesAfterAStartToo) {
  open()->close();
  clock.advance(two_months);
  auto ledger = try_open().value();
  EXPECT_EQ(ledger->origin(), "operator.example/node-1/2025") << "which nobody can sign yet";
  ledger->use_signer(&signer);
  (void)append(*ledger, event());
  ASSERT_TRUE(turned(*ledger));
  ledger->close();
  judge(closed(), signer.key());
  judge(log(), signer.key());
  expect_continued();
  auto again = try_open();
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ((*again)->origin(), "operator.example/node-1/2026");
}

TEST_F(LedgerTurnTest, WaitsForTheHsm) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  {
    const std::lock_guard lock(signer.mutex);
    signer.failure = avseal::errors::make(Category::unavailable, "hsm-unavailable", "away");
  }
  clock.advance(two_months);
  for (int i = 1; i < 20; ++i) ASSERT_EQ(append(*ledger, event()).value(), static_cast<std::uint64_t>(i));
  EXPECT_EQ(ledger->origin(), "operator.example/node-1/2025");
  {
    const std::lock_guard lock(signer.mutex);
    signer.failure.reset();
  }
  EXPECT_TRUE(turned(*ledger));
  EXPECT_TRUE(ledger->healthy());
}

TEST_F(LedgerTurnTest, ComesWhenNothingHappens) {
  const auto begun = std::chrono::steady_clock::now();
  const auto before = end_of_year(2025) - std::chrono::seconds(2);
  auto ledger = Ledger::open(
                    config(), [=] { return before + (std::chrono::steady_clock::now() - begun); }, metrics)
                    .value();
  ledger->use_signer(&signer);
  ASSERT_TRUE(covered(*ledger, 0));
  EXPECT_TRUE(turned(*ledger));
  ledger->close();
  expect_continued();
}

TEST_F(LedgerTurnTest, WaitsForRoomForTheNextLog) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  auto slot = run(ledger->open_slot(event()));
  files->segment_errno = ENOSPC;
  clock.advance(two_months);
  look_at_the_clock(*ledger);
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  EXPECT_TRUE(fs::exists(closed() / "checkpoint"));
  EXPECT_FALSE(ledger->published());
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-full");
  EXPECT_EQ(run(slot->commit(Outcome::released)).error().reason, "ledger-full");
  files->segment_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_EQ(append(*ledger, event()).value(), 1U);
  EXPECT_EQ(covered(*ledger, 1)->origin, "operator.example/node-1/2026");
  ledger->close();
  EXPECT_EQ(judge(closed(), signer.key()).size(), 1U);
  EXPECT_EQ(judge(log(), signer.key()).size(), 3U);
  expect_continued();
}

TEST_F(LedgerTurnTest, WaitsForRoomToCloseTheLog) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  files->write_errno = ENOSPC;
  clock.advance(two_months);
  look_at_the_clock(*ledger);
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-full");
  EXPECT_TRUE(fs::exists(closed() / "tile") && fs::exists(log() / "checkpoint")) << "half of it is moved";
  files->write_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ledger->close();
  EXPECT_EQ(judge(closed(), signer.key()).size(), 1U);
  expect_continued();
}

TEST_F(LedgerTurnTest, WaitsForTheStoreAfterTheLogWasClosed) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  {
    const std::lock_guard lock(heads.mutex);
    heads.failure = avseal::errors::make(Category::unavailable, "store-unavailable", "away");
  }
  clock.advance(two_months);
  look_at_the_clock(*ledger);
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  EXPECT_EQ(append(*ledger, event()).error().reason, "store-unavailable");
  {
    const std::lock_guard lock(heads.mutex);
    heads.failure.reset();
  }
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ledger->close();
  expect_continued();
}

TEST_F(LedgerTurnTest, StoppedWithoutRoomForTheNextLogItBeginsAtTheNextStart) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  files->segment_errno = ENOSPC;
  clock.advance(two_months);
  look_at_the_clock(*ledger);
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  ledger->close();
  EXPECT_EQ(refusal().reason, "ledger-full");
  files->segment_errno = 0;
  open()->close();
  EXPECT_EQ(judge(closed(), signer.key()).size(), 1U);
  EXPECT_EQ(judge(log(), signer.key()).size(), 2U);
  expect_continued();
}

TEST_F(LedgerTurnTest, FailedSyncOfTheNextLogStopsItForGood) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  files->sync_errno = EIO;
  clock.advance(two_months);
  look_at_the_clock(*ledger);
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  files->sync_errno = 0;
  const auto refused = append(*ledger, event());
  EXPECT_EQ(refused.error().reason, "ledger-unavailable");
  EXPECT_THAT(refused.error().detail, HasSubstr("cannot sync"));
  ledger->close();
  open()->close();
  expect_continued();
}

TEST_F(LedgerTurnTest, WitnessesSignTheLastCheckpointOfTheClosedLog) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, append(*ledger, event()).value()));
  EXPECT_FALSE(ledger->closed());
  clock.advance(two_months);
  look_at_the_clock(*ledger);
  ASSERT_TRUE(turned(*ledger));
  const auto last = ledger->closed().value();
  EXPECT_EQ(last.note, read_file(closed() / "checkpoint"));
  ASSERT_TRUE(eventually([&] { return ledger->published().has_value(); }));
  const auto current = ledger->published()->note;

  const tlog::NoteSignature witness{"witness.example", 7, Bytes(72, 1)};
  ledger->cosigned(last, {witness});
  ASSERT_TRUE(eventually([&] { return ledger->closed()->note != last.note; }));
  EXPECT_EQ(tlog::Note::parse(read_file(closed() / "checkpoint"))->signatures.back(), witness);
  EXPECT_EQ(ledger->closed()->note, read_file(closed() / "checkpoint"));
  EXPECT_EQ(ledger->published()->note, current);
  ledger->close();
  judge(closed(), signer.key());
  EXPECT_EQ(try_open().value()->closed()->note, read_file(closed() / "checkpoint"));
}

TEST_F(LedgerTurnTest, ClockThatGoesBackAYearIsRefused) {
  auto ledger = open();
  clock.advance(two_months);
  (void)append(*ledger, event());
  ASSERT_TRUE(turned(*ledger));
  ledger->close();
  clock.advance(-two_months);
  auto again = open();
  EXPECT_EQ(again->origin(), "operator.example/node-1/2026");
  EXPECT_EQ(append(*again, event()).error().reason, "ledger-clock");
}

TEST_F(LedgerTurnTest, NewDirectoryInANewYearIsNotTakenForANewLog) {
  open()->close();
  fs::remove_all(log());
  clock.advance(two_months);
  const auto error = refusal();
  EXPECT_EQ(error.reason, "ledger-head");
  EXPECT_THAT(error.detail, HasSubstr("the store remembers 2 leaves of operator.example/node-1/2025"));
}

}  // namespace
}  // namespace avseal::ledger::test
