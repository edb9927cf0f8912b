// The tree's files at the sizes where their shape changes.
#include "ledger/segment_log.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

// These tests are of shapes, not of durability.
class UnsyncedFiles final : public FileOps {
 public:
  int fdatasync(int) override { return 0; }
  int sync_directory(const std::filesystem::path&) override { return 0; }
};

class LedgerTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory);
    log = SegmentLog::open({directory, origin, 0, 1, 64 << 20, files}).value();
    checkpointer.emplace(Checkpointer::open(options(), 0).value());
  }

  [[nodiscard]] Checkpointer::Options options() { return {directory, origin, {signer.key()}, &heads, files}; }

  // Up to `size`, in one batch after the other.
  void append_until(std::uint64_t size) {
    while (log->next_index() < size) {
      builder.start(log->next_index());
      while (log->next_index() + builder.leaves() < size && builder.has_room(100)) {
        builder.add({R"({"index":)", R"(,"time":)"}, 1);
      }
      const auto leaves = builder.leaves();
      ASSERT_TRUE(log->append(builder.finish(), leaves));
    }
  }
  void publish_all() {
    while (checkpointer->size() < log->next_index()) {
      const auto done = checkpointer->publish(log->next_index(), signer);
      ASSERT_TRUE(done) << done.error().detail;
    }
  }
  void expect_good(std::uint64_t size) {
    const auto leaves = judge(directory, signer.key());
    ASSERT_EQ(leaves.size(), size);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      ASSERT_EQ(leaves[i], fmt::format(R"({{"index":{},"time":1}})", i));
    }
    expect_one_history(signer.texts, leaves);
  }

  TempDir temporary;
  std::filesystem::path directory = temporary.path() / "log";
  std::string origin = "operator.example/node-1/2025";
  std::shared_ptr<FileOps> files = std::make_shared<UnsyncedFiles>();
  SoftSigner signer;
  MemoryHeads heads;
  BatchBuilder builder;
  std::unique_ptr<SegmentLog> log;
  std::optional<Checkpointer> checkpointer;
};

TEST_F(LedgerTreeTest, OfNoLeavesIsNotPublished) {
  EXPECT_TRUE(checkpointer->publish(0, signer));
  EXPECT_TRUE(signer.texts.empty());
  EXPECT_FALSE(checkpointer->published());
}

TEST_F(LedgerTreeTest, IsWholeAtEachTurn) {
  for (const std::uint64_t size : {1U, 2U, 255U, 256U, 257U, 511U, 512U, 65535U, 65536U, 65537U, 70000U}) {
    append_until(size);
    publish_all();
    expect_good(size);
    checkpointer.emplace(Checkpointer::open(options(), size).value());
    EXPECT_EQ(checkpointer->size(), size);
  }
}

TEST_F(LedgerTreeTest, GrowsALeafAtATime) {
  for (std::uint64_t size = 1; size <= 600; ++size) {
    append_until(size);
    publish_all();
    ASSERT_EQ(checkpointer->size(), size);
  }
  expect_good(600);
  EXPECT_TRUE(std::filesystem::exists(directory / "tile/0/002.p/1"))
      << "of a size that was published, until it is full";
  EXPECT_FALSE(std::filesystem::exists(directory / "tile/0/001.p"));
  EXPECT_FALSE(std::filesystem::exists(directory / "tile/entries/000.p"));
}

TEST_F(LedgerTreeTest, ManyLeavesComeInSeveralCheckpoints) {
  append_until(150'000);
  ASSERT_TRUE(checkpointer->publish(150'000, signer));
  EXPECT_GE(checkpointer->size(), 65'536U);
  EXPECT_LT(checkpointer->size(), 65'536U + max_batch_leaves);
  publish_all();
  expect_good(150'000);
}

TEST_F(LedgerTreeTest, WhatWasReadBeforeAFailedSignatureIsNotReadTwice) {
  append_until(300);
  signer.failure = avseal::errors::make(Category::unavailable, "hsm-unavailable", "away");
  EXPECT_EQ(checkpointer->publish(300, signer).error().reason, "hsm-unavailable");
  append_until(400);
  EXPECT_FALSE(checkpointer->publish(400, signer));
  signer.failure.reset();
  publish_all();
  expect_good(400);
}

}  // namespace
}  // namespace avseal::ledger::test
