// The power cut at any call, thousands of times, after calls that failed: what was released is there, no two
// checkpoints disagree, and the log goes on.
#include "cut_node.hpp"

namespace avseal::ledger::test {
namespace {

// Runs until the power is cut at a call of the coming ones. Of a process that runs on a disk with power, nothing but a
// call that failed may end or hinder it.
void live_until_cut(CutNode& node, std::uint64_t calls) {
  auto& disk = node.disk();
  disk.cut_at(1 + calls);
  while (!disk.is_cut()) {
    disk.fill_at(UINT64_MAX);
    auto answer = node.start();
    while (answer && !disk.is_cut()) {
      answer = node.act();
      if (!answer && !Checkpointer::is_for_good(answer.error())) answer = {};
      if (answer && disk.pick(20) == 0) break;
    }
    node.stop();
    ASSERT_FALSE(::testing::Test::HasFailure());
    const auto failed = disk.take_failed();
    ASSERT_TRUE(answer || disk.is_cut() || !failed.empty()) << answer.error().detail;
  }
}

// Each shard is a test of its own, so that they can run side by side.
class LedgerPowerCutTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(LedgerPowerCutTest, LosesNothingThatWasReleased) {
  constexpr std::uint64_t nodes = 40;
  constexpr int cuts = 10;
  std::size_t lost = 0;
  std::size_t signatures = 0;
  std::size_t logs = 0;
  for (std::uint64_t seed = GetParam() * nodes; seed < (GetParam() + 1) * nodes; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    CutNode node(seed);
    for (int cut = 0; cut < cuts; ++cut) {
      live_until_cut(node, node.disk().pick(node.disk().pick(2) == 0 ? 30 : 200));
      ASSERT_FALSE(HasFatalFailure());
      node.disk().restore();
    }
    const auto started = node.start();
    ASSERT_TRUE(started) << started.error().detail;
    node.expect_good();
    ASSERT_FALSE(HasFailure());
    lost += node.disk().lost();
    signatures += node.signatures();
    logs += node.logs();
  }
  EXPECT_GT(lost, 300U) << "cuts that cut nothing off prove nothing";
  EXPECT_GT(signatures, 200U);
  EXPECT_GT(logs, 2 * nodes);
}

INSTANTIATE_TEST_SUITE_P(Shards, LedgerPowerCutTest, ::testing::Range<std::uint64_t>(0, 6));

}  // namespace
}  // namespace avseal::ledger::test
