// What a start makes of segments that a crash, a disk or somebody has changed.
#include "ledger/segment.hpp"
#include "support.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::HasSubstr;

class LedgerRecoveryTest : public Fixture {
 protected:
  // A closed log of one segment with leaves start, 1, 2, stop, each in a batch of its own.
  void SetUp() override {
    auto ledger = open();
    ASSERT_TRUE(append(*ledger, event("first")));
    ASSERT_TRUE(append(*ledger, event("second")));
    ledger->close();
    file_ = segments().at(0);
    bytes_ = read_file(file_);
    for (auto at = bytes_.find("avLbatch"); at != std::string::npos; at = bytes_.find("avLbatch", at + 1)) {
      batches_.push_back(at);
    }
    ASSERT_EQ(batches_.size(), 5U) << "four batches and the seal";
  }

  void expect_corrupt(std::size_t offset) {
    const auto refused = try_open(config());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "ledger-corrupt");
    EXPECT_THAT(refused.error().detail, HasSubstr(file_.string()));
    EXPECT_THAT(refused.error().detail, HasSubstr(fmt::format("offset {}:", offset)));
    EXPECT_THAT(refused.error().detail, HasSubstr("restore the file"));
  }

  std::filesystem::path file_;
  std::string bytes_;
  std::vector<std::size_t> batches_;
};

TEST_F(LedgerRecoveryTest, TornTailIsCutAtEveryByteOfTheLastBatch) {
  for (std::size_t size = batches_[3]; size < batches_[4]; ++size) {
    write_file(file_, std::string_view(bytes_).substr(0, size));
    auto ledger = try_open(config());
    ASSERT_TRUE(ledger) << size << ": " << ledger.error().detail;
    EXPECT_EQ((*ledger)->size(), 4U) << size;
    (*ledger)->close();
    const auto start = leaf(3);
    const auto torn = size - batches_[3];
    if (torn == 0) {
      EXPECT_FALSE(start.at("details").as_object().contains("torn_bytes"));
    } else {
      EXPECT_EQ(start.at("details").at("torn_bytes").as_int64(), static_cast<std::int64_t>(torn));
      EXPECT_EQ(start.at("details").at("torn_digest").as_string(),
                tokens::base64url_encode(tokens::sha256(as_bytes(bytes_.substr(batches_[3], torn)))));
    }
  }
}

TEST_F(LedgerRecoveryTest, TornSealIsCut) {
  for (std::size_t size = batches_[4]; size <= bytes_.size(); ++size) {
    write_file(file_, std::string_view(bytes_).substr(0, size));
    auto ledger = open();
    EXPECT_EQ(ledger->size(), 5U) << size;
    ledger->close();
  }
}

TEST_F(LedgerRecoveryTest, HoleInTheLastBatchIsATornTail) {
  auto torn = bytes_.substr(0, batches_[4]);
  std::fill(torn.begin() + static_cast<std::ptrdiff_t>(batches_[3]) + 20, torn.end() - 10, '\0');
  write_file(file_, torn);
  EXPECT_EQ(open()->size(), 4U);
}

TEST_F(LedgerRecoveryTest, GarbageBehindTheSealIsATornTail) {
  write_file(file_, bytes_ + std::string(1000, '\x5a'));
  auto ledger = open();
  EXPECT_EQ(ledger->size(), 5U);
  ledger->close();
  EXPECT_EQ(leaf(4).at("details").at("torn_bytes"), 1000);
}

TEST_F(LedgerRecoveryTest, ChangedByteOfACommittedBatchStopsTheStart) {
  for (std::size_t batch = 0; batch < 4; ++batch) {
    for (std::size_t at = batches_[batch]; at < batches_[batch + 1]; ++at) {
      auto changed = bytes_;
      changed[at] = static_cast<char>(changed[at] ^ 0x20);
      write_file(file_, changed);
      SCOPED_TRACE(at);
      expect_corrupt(batches_[batch]);
    }
  }
  write_file(file_, bytes_);
  EXPECT_TRUE(try_open(config())) << "a refused start changes nothing";
}

TEST_F(LedgerRecoveryTest, ChangedHeaderStopsTheStart) {
  auto changed = bytes_;
  changed[3] = 'X';
  write_file(file_, changed);
  expect_corrupt(0);
  write_file(file_, bytes_.substr(0, 20));
  expect_corrupt(0);
  write_file(file_, "");
  expect_corrupt(0);
}

TEST_F(LedgerRecoveryTest, RepeatedOrMissingBatchStopsTheStart) {
  const auto head = bytes_.substr(0, batches_[2]);
  write_file(file_, head + bytes_.substr(batches_[1]));
  expect_corrupt(batches_[2]);
  write_file(file_, bytes_.substr(0, batches_[1]) + bytes_.substr(batches_[2]));
  expect_corrupt(batches_[1]);
}

TEST_F(LedgerRecoveryTest, UnfinishedNewSegmentIsIgnored) {
  write_file(config().directory / "new-segment", "avseal-led");
  EXPECT_EQ(open()->size(), 5U);
}

class LedgerSegmentsTest : public Fixture {
 protected:
  // Several segments of about one batch each.
  void SetUp() override {
    with_ = config();
    with_.segment_bytes = 100;
    auto ledger = open(with_);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(append(*ledger, event()));
    ledger->close();
    files_ = segments();
    ASSERT_EQ(files_.size(), 6U);
  }

  Config with_;
  std::vector<std::filesystem::path> files_;
};

TEST_F(LedgerSegmentsTest, AreReadInOrder) {
  auto ledger = open(with_);
  EXPECT_EQ(ledger->size(), 7U);
  ledger->close();
  const auto all = leaves();
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(boost::json::parse(all[i]).at("index").as_int64(), static_cast<std::int64_t>(i));
  }
}

TEST_F(LedgerSegmentsTest, MissingSegmentStopsTheStart) {
  std::filesystem::remove(files_[2]);
  const auto refused = try_open(with_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ledger-corrupt");
  EXPECT_THAT(refused.error().detail, HasSubstr("expected the segment that starts at leaf 2"));
}

TEST_F(LedgerSegmentsTest, RenamedSegmentStopsTheStart) {
  std::filesystem::rename(files_[5], config().directory / "00000000000000000006.leaves");
  EXPECT_EQ(try_open(with_).error().reason, "ledger-corrupt");
}

TEST_F(LedgerSegmentsTest, EarlierSegmentHasNoTornTail) {
  const auto bytes = read_file(files_[2]);
  for (const std::size_t cut : {std::size_t{1}, batch_header_size, batch_header_size + 1}) {
    write_file(files_[2], std::string_view(bytes).substr(0, bytes.size() - cut));
    EXPECT_EQ(try_open(with_).error().reason, "ledger-corrupt") << cut;
  }
  write_file(files_[2], bytes + "x");
  EXPECT_EQ(try_open(with_).error().reason, "ledger-corrupt");
}

TEST_F(LedgerSegmentsTest, FailureToStartASegmentKeepsTheLeaves) {
  auto ledger = open(with_);
  files->write_errno = ENOSPC;
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-full");
  files->write_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_EQ(append(*ledger, event()).value(), 7U);
  ledger->close();
  EXPECT_EQ(open(with_)->size(), 10U);
}

TEST(SegmentTest, LeafHashIsThatOfRfc6962) {
  BatchBuilder builder;
  builder.start(7);
  builder.add(LeafDraft{"{\"index\":", ",\"time\":"}, 42);
  const auto batch = builder.finish();
  const auto record = batch.subspan(batch_header_size);
  const std::string leaf = R"({"index":7,"time":42})";
  EXPECT_EQ(as_text(record.subspan(record_header_size)), leaf);
  const auto expected = tokens::sha256(as_bytes(std::string(1, '\0') + leaf));
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), record.begin() + 4));
}

TEST(SegmentTest, BatchHasRoomForALimitedNumberOfLeaves) {
  BatchBuilder builder;
  builder.start(0);
  std::size_t leaves = 0;
  while (builder.has_room(max_leaf_size)) {
    builder.add(LeafDraft{std::string(60'000, ' '), ""}, 1);
    ++leaves;
  }
  EXPECT_LE(builder.finish().size(), batch_header_size + max_batch_size);
  EXPECT_GT(leaves, 50U);
  builder.start(0);
  for (std::size_t i = 0; i < max_batch_leaves; ++i) builder.add(LeafDraft{"", ""}, 1);
  EXPECT_FALSE(builder.has_room(1));
}

TEST(SegmentTest, BatchBeyondTheLimitsIsNotRead) {
  auto bytes = encode(SegmentHeader{});
  auto batch = encode_seal(0);
  batch[16] = 0xff;  // number of leaves
  bytes.insert(bytes.end(), batch.begin(), batch.end());
  const auto end = read_segment(bytes, "f", [](const Batch&) {}).value();
  EXPECT_EQ(end.offset, segment_header_size);
  EXPECT_EQ(end.rest, batch_header_size);
  EXPECT_FALSE(end.sealed);
}

}  // namespace
}  // namespace avseal::ledger::test
