#include "support.hpp"

namespace avseal::ledger::test {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;
using ::testing::Not;

class LedgerTest : public Fixture {};

TEST_F(LedgerTest, StartsWithALeafOfItsOwnAndEndsWithOne) {
  auto ledger = open();
  EXPECT_EQ(ledger->size(), 1U);
  EXPECT_EQ(append(*ledger, event()).value(), 1U);
  ledger->close();
  ASSERT_EQ(leaves().size(), 3U);
  EXPECT_EQ(leaf(0).at("event"), "ledger.start");
  EXPECT_EQ(leaf(0).at("details").at("origin"), "operator.example/node-1/2025");
  EXPECT_EQ(leaf(2).at("event"), "ledger.stop");
}

TEST_F(LedgerTest, LeafIsCanonicalAndSaysWhoDidWhat) {
  auto ledger = open();
  Event what = event();
  what.details["origid"] = "d7a1c1c0-0000-4000-8000-000000000000";
  what.details["app"] = "xr-\"meeting\"\n\xc3\xa9";
  EXPECT_EQ(append(*ledger, what, Outcome::refused, "subscription").value(), 1U);
  const auto text = leaves().at(1);
  const auto value = tokens::parse_json(text).value();
  EXPECT_EQ(tokens::canonical_json(value), text);
  const auto& object = value.get_object();
  EXPECT_EQ(object.at("actor"), "Bo4jmZk9xW0");
  EXPECT_EQ(object.at("client"), "ims-as-1");
  EXPECT_EQ(object.at("details"), what.details);
  EXPECT_EQ(object.at("event"), "sign.avatar-id");
  EXPECT_EQ(object.at("index"), 1);
  EXPECT_EQ(object.at("outcome"), "refused");
  EXPECT_EQ(object.at("reason"), "subscription");
  EXPECT_EQ(object.at("request"), "req-1");
  EXPECT_EQ(object.at("time"), 1'763'930'040'000);
  EXPECT_FALSE(object.contains("keys"));
}

TEST_F(LedgerTest, GoesOnAfterTheLastLeafOfAnEarlierRun) {
  open()->close();
  auto ledger = open();
  EXPECT_EQ(ledger->size(), 3U);
  EXPECT_EQ(append(*ledger, event()).value(), 3U);
}

TEST_F(LedgerTest, SlotThatIsDroppedIsLoggedAsAbandoned) {
  auto ledger = open();
  ASSERT_TRUE(run(ledger->open_slot(event())));
  ledger->close();
  EXPECT_EQ(leaf(1).at("outcome"), "discarded");
  EXPECT_EQ(leaf(1).at("reason"), "abandoned");
}

TEST_F(LedgerTest, MovedSlotIsLoggedOnce) {
  auto ledger = open();
  {
    auto first = run(ledger->open_slot(event("first"))).value();
    auto second = run(ledger->open_slot(event("second"))).value();
    second = std::move(first);
    ASSERT_TRUE(run(second.commit(Outcome::released)));
    EXPECT_EQ(run(second.commit(Outcome::released)).error().reason, "ledger-unavailable");
  }
  ledger->close();
  ASSERT_EQ(leaves().size(), 4U);
  EXPECT_EQ(leaf(1).at("event"), "first");
  EXPECT_EQ(leaf(2).at("event"), "second");
  EXPECT_EQ(leaf(2).at("reason"), "abandoned");
}

TEST_F(LedgerTest, SlotOutlivesTheLedger) {
  auto ledger = open();
  auto slot = run(ledger->open_slot(event()));
  ledger.reset();
  EXPECT_EQ(run(slot->commit(Outcome::released)).error().reason, "ledger-unavailable");
}

TEST_F(LedgerTest, SubjectsAppearOnlyAsTagsThatTheirKeyExplains) {
  auto ledger = open();
  Event what = event();
  what.subjects = {{"orig", "sip:alice@a.example"}, {"dest", "sip:bob@b.example"}, {"dest", "tn:17035550001"}};
  ASSERT_TRUE(append(*ledger, what));
  ASSERT_TRUE(append(*ledger, what));
  ledger->close();
  const auto first = leaf(1);
  const auto& subjects = first.at("subjects").as_object();
  EXPECT_EQ(subjects.at("orig").as_array().size(), 1U);
  EXPECT_EQ(subjects.at("dest").as_array().size(), 2U);
  const auto key = run(keys.key_for("sip:alice@a.example")).value();
  const std::string id(first.at("id").as_string());
  EXPECT_EQ(subjects.at("orig").at(0).as_string(),
            subject_tag(key, "operator.example/node-1", "sign.avatar-id", "sip:alice@a.example", id));
  EXPECT_NE(subjects.at("orig"), leaf(2).at("subjects").at("orig")) << "leaves of one person can be linked";
  for (const auto& segment : segments()) {
    const auto bytes = read_file(segment);
    EXPECT_THAT(bytes, Not(HasSubstr("alice")));
    EXPECT_THAT(bytes, Not(HasSubstr("bob@b")));
    EXPECT_THAT(bytes, Not(HasSubstr("7035550001")));
  }
}

class BrokenSubjectKeys final : public SubjectKeys {
 public:
  asio::awaitable<Result<Bytes>> key_for(std::string) override {
    co_return avseal::errors::make(Category::unavailable, "store-unavailable", "no disk");
  }
  asio::awaitable<Result<std::optional<Bytes>>> find(std::string) override { co_return std::optional<Bytes>(); }
  asio::awaitable<Result<bool>> erase(std::string) override { co_return false; }
};

TEST_F(LedgerTest, NoSubjectKeyNoSlot) {
  auto ledger = open();
  BrokenSubjectKeys broken;
  ledger->use_subject_keys(broken);
  Event what = event();
  what.subjects = {{"orig", "sip:alice@a.example"}};
  EXPECT_EQ(append(*ledger, what).error().reason, "store-unavailable");
  run(ledger->refused(what, "scope"));
  ledger->close();
  ASSERT_EQ(leaves().size(), 3U);
  EXPECT_EQ(leaf(1).at("details").at("count"), 1) << "the refusal is counted at least";
}

TEST_F(LedgerTest, RefusesAnEventThatIsTooLarge) {
  auto ledger = open();
  Event what = event();
  what.details["text"] = std::string(max_event_size, 'x');
  EXPECT_EQ(append(*ledger, what).error().reason, "ledger-event-too-large");
}

TEST_F(LedgerTest, RefusesMoreThanMaxPendingSlotsAtOnce) {
  auto with = config();
  with.max_pending = 2;
  auto ledger = open(with);
  auto first = run(ledger->open_slot(event()));
  auto second = run(ledger->open_slot(event()));
  auto third = run(ledger->open_slot(event()));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().reason, "ledger-busy");
  EXPECT_EQ(third.error().category, Category::unavailable);
  ASSERT_TRUE(run(first->commit(Outcome::released)));
  EXPECT_TRUE(run(ledger->open_slot(event()))) << "a committed slot gives its place back";
}

TEST_F(LedgerTest, CloseCommitsWhatWaitsAndRefusesLaterEvents) {
  auto ledger = open();
  auto slot = run(ledger->open_slot(event()));
  ledger->close();
  ledger->close();
  EXPECT_EQ(ledger->healthy().error().reason, "ledger-unavailable");
  EXPECT_FALSE(run(ledger->open_slot(event())));
  EXPECT_FALSE(run(slot->commit(Outcome::released)));
  EXPECT_EQ(leaves().size(), 2U);
}

TEST_F(LedgerTest, ACrowdDoesNotWaitForOneThatTakesLong) {
  auto ledger = open();
  std::vector<Slot> slots;
  for (int i = 0; i < 100; ++i) slots.push_back(run(ledger->open_slot(event())).value());
  asio::io_context context;
  int done = 0;
  const auto commit = [&](Slot& slot) -> asio::awaitable<void> {
    const auto place = co_await slot.commit(Outcome::released);
    EXPECT_TRUE(place);
    ++done;
  };
  for (std::size_t i = 1; i < slots.size(); ++i) asio::co_spawn(context, commit(slots[i]), asio::detached);
  context.run();
  EXPECT_EQ(done, 99);
  EXPECT_EQ(ledger->size(), 100U);
}

// Several io threads, each with many callers at once.
TEST_F(LedgerTest, KeepsOrderAndEveryLeafOfManyCallers) {
  constexpr int threads = 3;
  constexpr int callers = 40;  // with the others a crowd, whose batches are gathered
  constexpr int each = 20;
  auto with = config();
  with.segment_bytes = 20'000;
  auto ledger = open(with);
  std::mutex mutex;
  std::map<std::uint64_t, std::string> told;
  const auto caller = [&](int thread, int number) -> asio::awaitable<void> {
    std::uint64_t last = 0;
    for (int i = 0; i < each; ++i) {
      auto type = fmt::format("event-{}-{}-{}", thread, number, i);
      auto slot = co_await ledger->open_slot(event(type));
      auto leaf = co_await slot->commit(Outcome::released);
      EXPECT_GT(leaf->index, last);
      last = leaf->index;
      const std::lock_guard lock(mutex);
      told.emplace(last, std::move(type));
    }
  };
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      asio::io_context context;
      for (int n = 0; n < callers; ++n) asio::co_spawn(context, caller(t, n), asio::detached);
      context.run();
    });
  }
  for (auto& thread : running) thread.join();
  ledger->close();
  ASSERT_EQ(told.size(), std::size_t{threads * callers * each});
  const auto all = leaves();
  ASSERT_EQ(all.size(), told.size() + 2);
  for (const auto& [index, type] : told) {
    const auto value = boost::json::parse(all[index]);
    EXPECT_EQ(value.at("event").as_string(), type);
    EXPECT_EQ(value.at("index").as_int64(), static_cast<std::int64_t>(index));
  }
  EXPECT_GT(segments().size(), 3U);
}

TEST_F(LedgerTest, WaiterResumesOnItsOwnThread) {
  auto ledger = open();
  const auto here = std::this_thread::get_id();
  run([](Ledger& to, std::thread::id expected) -> asio::awaitable<void> {
    auto slot = co_await to.open_slot(event());
    (void)co_await slot->commit(Outcome::released);
    EXPECT_EQ(std::this_thread::get_id(), expected);
  }(*ledger, here));
}

}  // namespace
}  // namespace avseal::ledger::test
