#include "ledger_http/search.hpp"

#include "ledger/leaf.hpp"
#include "support.hpp"

namespace avseal::ledger_http::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t begin = 1'795'647'600'000;

class SearchTest : public ::testing::Test {
 protected:
  void write(std::size_t size, std::int64_t step = 10) {
    for (std::size_t i = 0; i < size; ++i) leaves.push_back(leaf(i, begin + static_cast<std::int64_t>(i) * step));
    log = write_log(directory.path(), leaves);
  }
  Page find(const EventQuery& query, const std::optional<SoughtSubject>& subject = std::nullopt) {
    auto page = search(log, query, subject);
    EXPECT_TRUE(page) << page.error().detail;
    return page ? std::move(*page) : Page{};
  }

  TempDir directory;
  std::vector<std::string> leaves;
  Log log;
};

TEST_F(SearchTest, GivesPagesThatTogetherAreTheLog) {
  for (const std::size_t size : {1U, 255U, 256U, 257U, 700U}) {
    leaves.clear();
    write(size);
    for (const std::size_t limit : {1U, 100U, 256U, 1000U}) {
      EventQuery query;
      query.limit = limit;
      std::vector<std::string> all;
      for (std::optional<std::uint64_t> next = 0; next;) {
        query.from = *next;
        const auto page = find(query);
        EXPECT_LE(page.leaves.size(), limit);
        all.insert(all.end(), page.leaves.begin(), page.leaves.end());
        next = page.next;
      }
      ASSERT_EQ(all, leaves) << size << " by " << limit;
    }
  }
}

TEST_F(SearchTest, GivesNothingBeyondTheLog) {
  write(3);
  EventQuery query;
  query.from = 3;
  EXPECT_THAT(find(query).leaves, IsEmpty());
  EXPECT_EQ(find(query).next, std::nullopt);
}

// Of every range, what a scan of all leaves gives; many leaves share a time.
TEST_F(SearchTest, FindsEveryRangeOfTime) {
  for (std::size_t i = 0; i < 1500; ++i) {
    leaves.push_back(leaf(i, begin + static_cast<std::int64_t>(i / 300)));
  }
  log = write_log(directory.path(), leaves);
  for (std::int64_t from = -1; from <= 6; ++from) {
    for (std::int64_t to = from + 1; to <= 6; ++to) {
      EventQuery query;
      query.limit = 1000;
      query.start = begin + from;
      query.end = begin + to;
      std::vector<std::string> wanted;
      for (std::size_t i = 0; i < leaves.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i / 300);
        if (at >= from && at < to) wanted.push_back(leaves[i]);
      }
      std::vector<std::string> all;
      for (std::optional<std::uint64_t> next = 0; next;) {
        query.from = *next;
        auto page = find(query);
        all.insert(all.end(), page.leaves.begin(), page.leaves.end());
        next = page.next;
      }
      ASSERT_EQ(all, wanted) << from << " to " << to;
    }
  }
}

TEST_F(SearchTest, ChoosesByEachMember) {
  leaves = {leaf(0, begin), leaf(1, begin, "refusal"), leaf(2, begin, "sign.shaken", "other")};
  log = write_log(directory.path(), leaves);
  const auto chosen = [&](auto set) {
    EventQuery query;
    set(query);
    std::string indices;
    for (const auto& text : find(query).leaves) {
      const auto at = static_cast<std::size_t>(std::find(leaves.begin(), leaves.end(), text) - leaves.begin());
      indices += std::to_string(at);
    }
    return indices;
  };
  EXPECT_EQ(chosen([](auto& q) { q.event = "refusal"; }), "1");
  EXPECT_EQ(chosen([](auto& q) { q.event = "refus"; }), "");
  EXPECT_EQ(chosen([](auto& q) { q.actor = "other"; }), "2");
  EXPECT_EQ(chosen([](auto& q) { q.actor = "x5t-ims-as"; }), "01");
  EXPECT_EQ(chosen([](auto& q) { q.key = "avatar-id"; }), "012");
  EXPECT_EQ(chosen([](auto& q) { q.key = kid; }), "012");
  EXPECT_EQ(chosen([](auto& q) { q.key = "access-token"; }), "");
  EXPECT_EQ(chosen([](auto& q) { q.outcome = "refused"; }), "");
  EXPECT_EQ(chosen([](auto& q) { q.reason = "released"; }), "");
  EXPECT_EQ(chosen([](auto& q) { q.actor = "ims-as", q.event = "refusal"; }), "1");
}

TEST_F(SearchTest, FindsASubjectByItsKeyOnly) {
  const Bytes key(32, 7);
  const std::string alice = "sip:alice@a.example";
  const auto with_subject = [&](std::uint64_t index, const std::string& who) {
    const auto tag = ledger::subject_tag(key, node, "sign.avatar-id", who, "id-" + std::to_string(index));
    return fmt::format(
        R"({{"event":"sign.avatar-id","id":"id-{}","index":{},"outcome":"released","subjects":{{"orig":["{}"]}},"time":{}}})",
        index, index, tag, begin);
  };
  leaves = {leaf(0, begin), with_subject(1, alice), with_subject(2, "sip:bob@b.example"), with_subject(3, alice)};
  log = write_log(directory.path(), leaves);
  EXPECT_THAT(find({}, SoughtSubject{node, alice, key}).leaves, ElementsAre(leaves[1], leaves[3]));
  EXPECT_THAT(find({}, SoughtSubject{node, alice, Bytes(32, 8)}).leaves, IsEmpty());
  EXPECT_THAT(find({}, SoughtSubject{node, "sip:carol@a.example", key}).leaves, IsEmpty());
  EXPECT_THAT(find({}, SoughtSubject{"other/node", alice, key}).leaves, IsEmpty());
}

TEST_F(SearchTest, LooksAtABoundedNumberOfLeaves) {
  write(max_searched + 300, 1);
  EventQuery query;
  query.event = "refusal";
  const auto page = find(query);
  EXPECT_THAT(page.leaves, IsEmpty());
  EXPECT_EQ(page.next, max_searched);
  query.from = *page.next;
  EXPECT_EQ(find(query).next, std::nullopt);
}

TEST_F(SearchTest, EndsAPageOfLargeLeaves) {
  for (std::size_t i = 0; i < 80; ++i) leaves.push_back(leaf(i, begin, "sign.avatar-id", std::string(30'000, 'a')));
  log = write_log(directory.path(), leaves);
  EventQuery query;
  const auto page = find(query);
  EXPECT_LT(page.leaves.size(), 40U);
  ASSERT_TRUE(page.next);
  EXPECT_EQ(*page.next, page.leaves.size());
}

TEST_F(SearchTest, SaysWhichFileIsMissing) {
  write(300);
  std::filesystem::remove(directory / "tile/entries/000");
  const auto page = search(log, EventQuery{}, std::nullopt);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().reason, "log-file-missing");
  EXPECT_THAT(page.error().detail, ::testing::HasSubstr("tile/entries/000"));
}

}  // namespace
}  // namespace avseal::ledger_http::test
