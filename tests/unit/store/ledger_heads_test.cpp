// What the store remembers of a log, before anybody has the row key.
#include "support.hpp"

namespace avseal::store::test {
namespace {

using ledger::Head;

class LedgerHeadsTest : public Fixture {
 protected:
  std::shared_ptr<StoreFile> open_file() { return StoreFile::open(file, system_clock_now, metrics).value(); }
};

Head head_of(std::uint64_t size, std::string origin = "operator.example/node-1/2026") {
  Head head{std::move(origin), size, {}, fmt::format("note of {}", size), "[]"};
  head.root.fill(static_cast<std::uint8_t>(size));
  return head;
}

TEST_F(LedgerHeadsTest, AreComparedAndSwapped) {
  const auto opened = open_file();
  auto& heads = opened->ledger_heads();
  const std::string origin = head_of(1).origin;
  EXPECT_EQ(heads.head(origin).value(), std::nullopt);
  EXPECT_EQ(heads.replace(head_of(1), head_of(2)).error().reason, "ledger-head");
  EXPECT_TRUE(heads.replace(std::nullopt, head_of(1)));
  EXPECT_EQ(heads.replace(std::nullopt, head_of(2)).error().reason, "ledger-head");
  EXPECT_EQ(heads.head(origin).value(), head_of(1));
  auto other_note = head_of(1);
  other_note.note = "another";
  EXPECT_EQ(heads.replace(other_note, head_of(2)).error().reason, "ledger-head") << "each member counts";
  EXPECT_TRUE(heads.replace(head_of(1), head_of(2)));
  EXPECT_TRUE(heads.replace(std::nullopt, head_of(9, "operator.example/node-2/2026"))) << "each log has its own";
  EXPECT_EQ(heads.head(origin).value(), head_of(2));
}

TEST_F(LedgerHeadsTest, StayWhenTheFileIsClosed) {
  auto first = open_file();
  ASSERT_TRUE(first->ledger_heads().replace(std::nullopt, head_of(7)));
  first->close();
  EXPECT_EQ(first->ledger_heads().head(head_of(7).origin).error().reason, "store-unavailable");
  first.reset();
  EXPECT_EQ(open_file()->ledger_heads().head(head_of(7).origin).value(), head_of(7));
}

TEST_F(LedgerHeadsTest, RootThatWasCutIsNotTaken) {
  const auto opened = open_file();
  ASSERT_TRUE(opened->ledger_heads().replace(std::nullopt, head_of(7)));
  Intruder(file).run("UPDATE ledger_head SET root = x'00'");
  EXPECT_EQ(opened->ledger_heads().head(head_of(7).origin).error().reason, "store-row-forged");
}

TEST_F(LedgerHeadsTest, AreNoRowsThatNeedTheRowKey) {
  const auto opened = open_file();
  ASSERT_TRUE(opened->ledger_heads().replace(std::nullopt, head_of(7)));
  EXPECT_FALSE(opened->has_sealed_rows().value());
  const auto store = Store::open(opened, Secret::random(32), metrics).value();
  ASSERT_TRUE(run(store->subscriptions().put({impu("sip:alice@a.example"), {}, 0})));
  EXPECT_TRUE(opened->has_sealed_rows().value());
}

}  // namespace
}  // namespace avseal::store::test
