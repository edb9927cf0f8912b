// What a start makes of a directory and a store that do not tell one history.
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LedgerHeadTest : public PublishingFixture {
 protected:
  // A log of 300 leaves, closed.
  void SetUp() override { grow(298); }

  void grow(int leaves) {
    auto ledger = open();
    for (int i = 0; i < leaves; ++i) ASSERT_TRUE(append(*ledger, event()));
    ledger->close();
  }
  void copy_log(const std::string& to) { fs::copy(log(), directory.path() / to, fs::copy_options::recursive); }
  void put_back(const std::string& from) {
    fs::remove_all(log());
    fs::copy(directory.path() / from, log(), fs::copy_options::recursive);
  }
  void expect_refused(const std::string& words) {
    const auto error = refusal();
    EXPECT_EQ(error.reason, "ledger-head");
    EXPECT_THAT(error.detail, HasSubstr(words));
  }
  Head& head() { return heads.rows.begin()->second; }
};

TEST_F(LedgerHeadTest, OlderCopyOfTheDirectory) {
  copy_log("old");
  grow(10);
  put_back("old");
  expect_refused(
      "has 300 leaves, but a checkpoint of 312 was given out: the directory was restored from an older copy");
}

TEST_F(LedgerHeadTest, OlderCopyOfTheDirectoryThatWasWrittenToSince) {
  copy_log("old");
  grow(2);
  put_back("old");
  auto elsewhere = Fixture::open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(append(*elsewhere, event("other")));
  elsewhere->close();
  expect_refused("are not those of the checkpoint that was given out");
}

TEST_F(LedgerHeadTest, OlderCopyOfTheStore) {
  const auto old = heads.rows;
  grow(10);
  heads.rows = old;
  expect_refused("has 312 leaves, but the store remembers 300: the store was restored from an older copy");
}

TEST_F(LedgerHeadTest, NewStore) {
  heads.rows.clear();
  expect_refused("the store remembers no checkpoint of operator.example/node-1/2025");
}

TEST_F(LedgerHeadTest, NewDirectory) {
  fs::remove_all(log());
  expect_refused("has 0 leaves, but a checkpoint of 300 was given out");
}

TEST_F(LedgerHeadTest, StoreAndDirectoryThatDisagree) {
  MemoryHeads other_heads;
  copy_log("this");
  fs::remove_all(log());
  std::swap(heads.rows, other_heads.rows);
  grow(298);
  std::swap(heads.rows, other_heads.rows);
  expect_refused("disagree about the first 300 leaves");
}

TEST_F(LedgerHeadTest, AlteredEdge) {
  for (const char* path : {"tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"}) {
    const auto file = log() / path;
    const auto bytes = read_file(file);
    for (const std::size_t at : {std::size_t{0}, std::size_t{10}, bytes.size() - 1}) {
      auto altered = bytes;
      altered[at] = static_cast<char>(altered[at] ^ 1);
      write_file(file, altered);
      SCOPED_TRACE(fmt::format("{} at {}", path, at));
      expect_refused("altered");
    }
    fs::remove(file);
    expect_refused(path);
    write_file(file, bytes);
  }
  EXPECT_TRUE(try_open()) << "a refused start changes nothing";
}

TEST_F(LedgerHeadTest, AlteredCheckpoint) {
  const auto file = log() / "checkpoint";
  const auto note = read_file(file);
  const auto write = [&](const std::string& from, const std::string& to) {
    auto altered = note;
    altered.replace(altered.find(from), from.size(), to);
    write_file(file, altered);
  };
  write("300", "299");
  expect_refused("was altered");
  write("300", "0300");
  expect_refused("is no signed checkpoint");
  write("node-1", "node-2");
  expect_refused("is of the log operator.example/node-2/2025, expected operator.example/node-1/2025");
  write_file(file, note.substr(0, note.find("\n\n") + 2));
  expect_refused("is no signed checkpoint");
  write_file(file, "");
  expect_refused("is no signed checkpoint");
}

TEST_F(LedgerHeadTest, LostFilesAreMadeAgainFromSegmentsThatHaveAll) {
  fs::remove(log() / "checkpoint");
  fs::remove_all(log() / "tile");
  auto ledger = try_open();
  ASSERT_TRUE(ledger) << ledger.error().detail;
  (*ledger)->close();
  EXPECT_EQ(judge(log(), signer.key()).size(), 300U);
}

TEST_F(LedgerHeadTest, SignatureOfAnUnknownKey) {
  SoftSigner other;
  auto with = config();
  with.keys = {other.key()};
  const auto refused = Fixture::try_open(with);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ledger-head");
  EXPECT_THAT(refused.error().detail, HasSubstr("has no signature of a ledger key that is configured"));
  with.keys = {other.key(), signer.key()};
  EXPECT_TRUE(Fixture::try_open(with));
}

TEST_F(LedgerHeadTest, AlteredRowInTheStore) {
  const auto good = head();
  const auto refused = [&](const std::string& words) {
    expect_refused(words);
    head() = good;
  };
  head().size = 299;
  refused("was altered");
  head().root[0] ^= 1;
  refused("was altered");
  head().note.replace(head().note.find("300"), 3, "301");
  refused("was altered");
  head().note = "x";
  refused("is no signed checkpoint");
  head().uses = "x";
  refused("the uses of the ledger key");
}

TEST_F(LedgerHeadTest, MissingSegment) {
  for (const auto& entry : fs::directory_iterator(log())) {
    if (entry.path().extension() == ".leaves") fs::remove(entry.path());
  }
  const auto error = refusal();
  EXPECT_EQ(error.reason, "ledger-corrupt");
  EXPECT_THAT(error.detail, HasSubstr("expected a segment with leaf 299"));
}

TEST_F(LedgerHeadTest, PublicationThatWasInterruptedIsFinished) {
  copy_log("old");
  grow(70);
  const auto later = heads.rows;
  // As if the power had failed between the store's commit and the first tile: the leaves alone are in the directory.
  for (const char* name : {"checkpoint", "tile"}) {
    fs::remove_all(log() / name);
    fs::copy(directory.path() / "old" / name, log() / name, fs::copy_options::recursive);
  }
  auto ledger = try_open();
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_EQ((*ledger)->published()->size, 372U);
  (*ledger)->close();
  EXPECT_EQ(judge(log(), signer.key()).size(), 372U);
  EXPECT_EQ(heads.rows, later) << "nothing was signed for it";
}

}  // namespace
}  // namespace avseal::ledger::test
