// Signatures were made, and then their leaves found no room on the disk.
#include "ledger/untold.hpp"

#include "audit/verify.hpp"
#include "publishing_support.hpp"

namespace avseal::keyring {

// Nobody else may tell a slot of uses. The real one is not in this program.
class Keyring {
 public:
  static void record(ledger::Slot& slot, ledger::KeyUse use) { slot.used(std::move(use)); }
};

}  // namespace avseal::keyring

namespace avseal::ledger::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t unlogged_limit = 200;

KeyUse use(std::uint64_t sequence) {
  return {"avatar-id", std::string(43, 'k'), "worker-1", sequence, std::string(43, 'd'), "signed"};
}

class LedgerUntoldUsesTest : public PublishingFixture {
 protected:
  std::uint64_t signatures = 0;

  std::shared_ptr<Ledger> begin() {
    auto ledger = open();
    Event loaded = event("keys.loaded");
    const auto key = [](std::string_view name, const std::string& kid) {
      return boost::json::object{{"key", name}, {"kid", kid}, {"kind", name}, {"state", "active"}};
    };
    loaded.details = {
        {"keys", boost::json::array{key("avatar-id", use(1).kid), key("ledger", signer.key().thumbprint())}},
        {"unlogged_limit", unlogged_limit}};
    EXPECT_TRUE(append(*ledger, loaded));
    return ledger;
  }
  Slot sign(Ledger& ledger) {
    auto slot = run(ledger.open_slot(event())).value();
    keyring::Keyring::record(slot, use(++signatures));
    return slot;
  }
  static Result<Position> commit(Slot slot) { return run(slot.commit(Outcome::released)); }

  void fill_disk() {
    files->write_half = true;
    files->write_errno = ENOSPC;
  }
  // What an auditor has to say of the log.
  [[nodiscard]] std::vector<std::string> audit() const {
    const auto source = tlog::open_directory(log());
    const auto key = tlog::VerifierKey::of("operator.example/node-1/2025", signer.key()).value();
    audit::Verdict verdict;
    const auto read = audit::verify(*source, audit::Trust::of_keys({key}), {}, verdict);
    EXPECT_TRUE(read) << read.error().detail;
    std::vector<std::string> said;
    for (const auto findings = verdict.findings(); const auto& finding : findings.all()) {
      if (finding.severity != doctor::Severity::ok) said.push_back(finding.id);
    }
    return said;
  }
  // The numbers in the order of the leaves, with the event and the outcome of each.
  [[nodiscard]] std::vector<std::string> told() const {
    std::vector<std::string> numbers;
    for (const auto& text : leaves()) {
      const auto leaf = boost::json::parse(text).as_object();
      const auto* uses = leaf.if_contains("keys");
      if (uses == nullptr) continue;
      for (const auto& one : uses->as_array()) {
        numbers.push_back(fmt::format("{} {} {}", one.at("sequence").as_int64(), leaf.at("event").as_string().c_str(),
                                      one.at("outcome").as_string().c_str()));
      }
    }
    return numbers;
  }
};

TEST_F(LedgerUntoldUsesTest, AreToldBeforeWhatIsWrittenLater) {
  auto ledger = begin();
  ASSERT_TRUE(commit(sign(*ledger)));
  std::vector<Slot> slots;
  for (int i = 0; i < 70; ++i) slots.push_back(sign(*ledger));
  auto later = sign(*ledger);
  fill_disk();
  { const Slot abandoned = sign(*ledger); }
  for (auto& slot : slots) EXPECT_EQ(commit(std::move(slot)).error().reason, "ledger-full");
  files->write_errno = 0;
  EXPECT_TRUE(commit(std::move(later)));
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ASSERT_TRUE(commit(sign(*ledger)));
  ledger->close();

  std::vector<std::string> expected{"1 sign.avatar-id signed", "73 keys.late discarded"};
  for (int i = 2; i < 72; ++i) expected.push_back(fmt::format("{} keys.late discarded", i));
  expected.push_back("72 sign.avatar-id signed");
  expected.push_back("74 sign.avatar-id signed");
  EXPECT_EQ(told(), expected);
  EXPECT_THAT(audit(), IsEmpty());
}

TEST_F(LedgerUntoldUsesTest, NothingNewIsBegunUntilTheyAreTold) {
  auto ledger = begin();
  auto slot = sign(*ledger);
  fill_disk();
  EXPECT_EQ(commit(std::move(slot)).error().reason, "ledger-full");
  std::this_thread::sleep_for(std::chrono::milliseconds(600));  // time to look at the disk again
  EXPECT_EQ(run(ledger->open_slot(event())).error().reason, "ledger-full");
  files->write_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_THAT(told(), ElementsAre("1 keys.late discarded"));
}

TEST_F(LedgerUntoldUsesTest, ThatNobodyCouldTellAreThoseOfACrash) {
  auto ledger = begin();
  auto slot = sign(*ledger);
  fill_disk();
  EXPECT_EQ(commit(std::move(slot)).error().reason, "ledger-full");
  ledger->close();
  files->write_errno = 0;
  auto again = begin();
  ASSERT_TRUE(commit(sign(*again)));
  again->close();
  EXPECT_THAT(told(), ElementsAre("2 sign.avatar-id signed"));
  EXPECT_THAT(audit(), ElementsAre("run-not-stopped", "numbers-of-crash"));
}

// The worker lives on, and counts on.
class LedgerUntoldUsesAtTheTurnTest : public LedgerUntoldUsesTest {
 protected:
  // The log of 2025 is closed, and the next finds no room.
  void fill_disk_at_the_turn(Ledger& ledger) {
    EXPECT_TRUE(covered(ledger, ledger.size() - 1));
    files->segment_errno = ENOSPC;
    clock.advance(60 * 86'400);
    ledger.use_signer(&signer);
    ASSERT_TRUE(eventually([&] { return !ledger.healthy(); }));
  }
};

TEST_F(LedgerUntoldUsesAtTheTurnTest, AreToldByTheNextLog) {
  auto ledger = begin();
  ASSERT_TRUE(commit(sign(*ledger)));
  auto slot = sign(*ledger);
  fill_disk_at_the_turn(*ledger);
  EXPECT_EQ(commit(std::move(slot)).error().reason, "ledger-full");
  files->segment_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ASSERT_TRUE(commit(sign(*ledger)));
  ledger->close();
  EXPECT_THAT(told(), ElementsAre("2 keys.late discarded", "3 sign.avatar-id signed"));
  EXPECT_EQ(leaf(0).at("event"), "ledger.start");
  EXPECT_EQ(leaf(0).at("details").as_object().count("interrupted"), 0U);
  EXPECT_THAT(audit(), IsEmpty());
}

TEST_F(LedgerUntoldUsesAtTheTurnTest, ThatNobodyCouldTellAreThoseOfACrash) {
  auto ledger = begin();
  auto slot = sign(*ledger);
  fill_disk_at_the_turn(*ledger);
  EXPECT_EQ(commit(std::move(slot)).error().reason, "ledger-full");
  ledger->close();
  files->segment_errno = 0;
  auto again = begin();
  ASSERT_TRUE(commit(sign(*again)));
  again->close();
  EXPECT_THAT(told(), ElementsAre("2 sign.avatar-id signed"));
  EXPECT_THAT(audit(), ElementsAre("run-not-stopped", "numbers-of-crash")) << "the ledger key's are told by the start";
}

TEST(UntoldTest, MoreThanABatchTakesSeveral) {
  constexpr std::uint64_t count = 30'000;
  constexpr int summary_count = 3000;
  Untold untold;
  for (std::uint64_t i = 1; i <= count; ++i) untold.add({use(i)});
  for (int i = 0; i < summary_count; ++i) {
    untold.add(EventText(event("refusal"), {}, {}).finish({}, 0, Outcome::refused, std::to_string(i)));
  }
  std::vector<std::int64_t> numbers;
  std::vector<std::string> summaries;
  int batches = 0;
  for (BatchBuilder builder; !untold.empty(); ++batches) {
    builder.start(0);
    untold.tell(builder, 1);
    builder.start(0);  // as if that one had failed
    const bool all = untold.tell(builder, 1);
    for (const auto leaf : read_batch(builder.finish()).leaves) {
      const auto parsed = boost::json::parse(as_text(leaf)).as_object();
      if (parsed.at("event") == "refusal") {
        summaries.emplace_back(parsed.at("reason").as_string());
        continue;
      }
      for (const auto& one : parsed.at("keys").as_array()) numbers.push_back(one.at("sequence").as_int64());
    }
    untold.told();
    EXPECT_EQ(all, untold.empty());
  }
  EXPECT_GT(batches, 1);
  ASSERT_EQ(numbers.size(), count);
  for (std::uint64_t i = 0; i < count; ++i) ASSERT_EQ(numbers[i], static_cast<std::int64_t>(i + 1));
  ASSERT_EQ(summaries.size(), static_cast<std::size_t>(summary_count));
  for (int i = 0; i < summary_count; ++i) ASSERT_EQ(summaries[static_cast<std::size_t>(i)], std::to_string(i));
}

}  // namespace
}  // namespace avseal::ledger::test
