// A log that is verified while its node goes on.
#include "audit/verify.hpp"
#include "ledger/segment_files.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::SizeIs;

class LedgerAuditedTest : public PublishingFixture {
 protected:
  void append_all(Ledger& ledger, int count) {
    std::uint64_t last = 0;
    for (int i = 0; i < count; ++i) last = append(ledger, event("subscription.put")).value();
    ASSERT_TRUE(covered(ledger, last));
  }
};

TEST_F(LedgerAuditedTest, IsGoodThoughItsSegmentsGoMeanwhile) {
  auto with = config();
  with.segment_bytes = 2000;
  auto ledger = Fixture::open(with);
  ledger->use_signer(&signer);
  append_all(*ledger, 5);

  std::vector<std::uint64_t> sizes;
  audit::VerifyOptions options;
  options.segments = [&](std::uint64_t published, const audit::SegmentSink& sink) -> Result<void> {
    sizes.push_back(published);
    if (sizes.size() == 1) {
      append_all(*ledger, 100);
      EXPECT_TRUE(eventually([&] { return segment_starts(log()).value().front() >= published; }));
    }
    const auto take = [&](const Batch& batch) {
      for (std::size_t i = 0; i < batch.leaves.size(); ++i) sink(batch.first_index + i, batch.leaves[i]);
    };
    const auto ignore = [](const std::string&, const SegmentEnd&, ByteView) -> Result<void> { return {}; };
    return read_segments(log(), std::nullopt, published, take, ignore);
  };
  const auto key = tlog::VerifierKey::of("operator.example/node-1/2025", signer.key()).value();
  audit::Verdict verdict;
  const auto read = audit::verify(*tlog::open_directory(log()), audit::Trust::of_keys({key}), options, verdict);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(sizes, SizeIs(2));
  ledger->close();
}

}  // namespace
}  // namespace avseal::ledger::test
