// The write order, cut at every call, thousands of times: what was released is there, no two checkpoints disagree, and
// the log goes on.
#include "cut_disk.hpp"
#include "ledger/periods.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

// Heads on the disk whose power is cut: a commit at the moment of the cut may have been made or not.
class CutHeads final : public HeadStore {
 public:
  explicit CutHeads(CutDisk& disk) : disk_(disk) {}
  Result<std::optional<Head>> head(const std::string& origin) override { return heads_.head(origin); }
  Result<void> replace(const std::optional<Head>& expected, const Head& next) override {
    if (disk_.step()) return heads_.replace(expected, next);
    if (disk_.pick(2) == 0) (void)heads_.replace(expected, next);
    return avseal::errors::make(Category::unavailable, "store-unavailable", "no power");
  }

 private:
  CutDisk& disk_;
  MemoryHeads heads_;
};

// One node's logs on one disk, from cut to cut.
class Node {
 public:
  explicit Node(std::uint64_t seed) : disk_(std::make_shared<CutDisk>(seed)), heads_(*disk_) {}

  // Starts, after a cut too, and compares what is there with what was released.
  void start() {
    periods_.emplace(config(), [this] { return now(); });
    auto log = periods_->open();
    if (disk_->is_cut()) return;
    ASSERT_TRUE(log) << log.error().detail;
    use(std::move(*log));
    for (auto& [origin, log_of] : logs_) {
      const auto leaves = read_leaves(directory_of(origin)).value();
      ASSERT_GE(leaves.size(), log_of.released.size()) << origin;
      ASSERT_TRUE(std::equal(log_of.released.begin(), log_of.released.end(), leaves.begin())) << origin;
      ASSERT_GE(leaves.size(), log_of.told) << "somebody has a receipt of " << origin;
      log_of.released = leaves;  // what came through counts from now on
    }
    ASSERT_GE(checkpointer_->size(), current().told);
  }

  // Anything that a node does. false: it has to be started again.
  bool act() {
    switch (disk_->pick(8)) {
      case 0:
        return disk_->pick(3) != 0 || turn();
      case 1:
        disk_->fill_at(1 + disk_->pick(40));
        return true;
      case 2:
        log_->seal();
        return disk_->pick(4) != 0;
      case 3:
      case 4:
      case 5:
        return append();
      default:
        return publish();
    }
  }

  void stop() {
    checkpointer_.reset();
    log_.reset();
  }
  void expect_good() {
    while (checkpointer_->size() < log_->next_index()) ASSERT_TRUE(checkpointer_->publish(log_->next_index(), signer_));
    for (const auto& [origin, log_of] : logs_) {
      if (log_of.released.empty()) continue;
      const auto leaves = judge(directory_of(origin), signer_.key());
      EXPECT_EQ(leaves, log_of.released) << origin;
      std::vector<std::string> texts;
      std::copy_if(signer_.texts.begin(), signer_.texts.end(), std::back_inserter(texts),
                   [&](const std::string& text) { return text.starts_with(origin + "\n"); });
      expect_one_history(texts, leaves);
    }
  }
  [[nodiscard]] CutDisk& disk() { return *disk_; }
  [[nodiscard]] std::size_t signatures() const { return signer_.texts.size(); }
  [[nodiscard]] std::size_t logs() const { return logs_.size(); }

 private:
  struct LogOf {
    std::vector<std::string> released;
    std::uint64_t told = 0;  // size of the last checkpoint that was published
  };

  [[nodiscard]] Config config() {
    Config config;
    config.directory = disk_->directory();
    config.origin = "operator.example/node-1";
    config.reserve_bytes = 1;
    config.segment_bytes = 6000;
    config.heads = &heads_;
    config.keys = {signer_.key()};
    config.files = disk_;
    return config;
  }
  [[nodiscard]] std::chrono::system_clock::time_point now() const {
    return std::chrono::sys_days(std::chrono::year(year_) / std::chrono::January / 1);
  }
  [[nodiscard]] std::filesystem::path directory_of(const std::string& origin) const {
    if (origin == periods_->origin()) return disk_->directory();
    return disk_->directory() / "closed" / origin.substr(origin.size() - 4);
  }
  LogOf& current() { return logs_[periods_->origin()]; }

  void use(Periods::Log log) {
    log_ = std::move(log.segments);
    checkpointer_.emplace(std::move(*log.checkpointer));
    current();
  }

  bool append() {
    builder_.start(log_->next_index());
    const auto leaves = 1 + disk_->pick(disk_->pick(4) == 0 ? 300 : 10);
    const auto filler = fmt::format(R"(,"text":"{}","time":)", std::string(disk_->pick(40), 'x'));
    for (std::uint64_t i = 0; i < leaves; ++i) builder_.add({R"({"index":)", filler}, 1);
    const auto batch = builder_.finish();
    const auto appended = log_->append(batch, leaves);
    if (!appended) return appended.error().reason == "ledger-full";
    for (const auto leaf : read_batch(batch).leaves) current().released.emplace_back(as_text(leaf));
    return true;
  }
  bool publish() {
    const auto published = checkpointer_->publish(log_->next_index(), signer_);
    if (published) current().told = checkpointer_->size();
    return published || !Checkpointer::is_for_good(published.error());
  }
  bool turn() {
    if (log_->next_index() == 0) return true;
    while (checkpointer_->size() < log_->next_index()) {
      if (!publish() || disk_->is_cut()) return false;
    }
    ++year_;
    auto next = periods_->turn();
    if (!next) return false;
    use(std::move(*next));
    return true;
  }

  std::shared_ptr<CutDisk> disk_;
  CutHeads heads_;
  SoftSigner signer_;
  BatchBuilder builder_;
  int year_ = 2025;
  std::optional<Periods> periods_;
  std::unique_ptr<SegmentLog> log_;
  std::optional<Checkpointer> checkpointer_;
  std::map<std::string, LogOf> logs_;  // by origin
};

// Runs until the power is cut at a call of the coming ones.
void live_until_cut(Node& node, std::uint64_t calls) {
  node.disk().cut_at(1 + calls);
  while (!node.disk().is_cut()) {
    node.disk().fill_at(UINT64_MAX);
    node.start();
    if (::testing::Test::HasFatalFailure()) return;
    while (!node.disk().is_cut() && node.act()) {
    }
    node.stop();
  }
}

// Each shard is a test of its own, so that they run side by side.
class LedgerPowerCutTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(LedgerPowerCutTest, LosesNothingThatWasReleased) {
  constexpr std::uint64_t nodes = 15;
  constexpr int cuts = 20;
  std::size_t lost = 0;
  std::size_t signatures = 0;
  std::size_t logs = 0;
  for (std::uint64_t seed = GetParam() * nodes; seed < (GetParam() + 1) * nodes; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Node node(seed);
    for (int cut = 0; cut < cuts; ++cut) {
      live_until_cut(node, node.disk().pick(node.disk().pick(2) == 0 ? 30 : 200));
      ASSERT_FALSE(HasFatalFailure());
      node.disk().restore();
    }
    node.start();
    ASSERT_FALSE(HasFatalFailure());
    node.expect_good();
    ASSERT_FALSE(HasFailure());
    lost += node.disk().lost();
    signatures += node.signatures();
    logs += node.logs();
  }
  EXPECT_GT(lost, 100U) << "cuts that cut nothing off prove nothing";
  EXPECT_GT(signatures, 100U);
  EXPECT_GT(logs, 2 * nodes);
}

INSTANTIATE_TEST_SUITE_P(Shards, LedgerPowerCutTest, ::testing::Range<std::uint64_t>(0, 6));

class LedgerPowerCutInTurnTest : public ::testing::TestWithParam<std::uint64_t> {};

// A small history, cut at each of its calls in turn.
TEST_P(LedgerPowerCutInTurnTest, AtEachCallOfTheFirstOnes) {
  constexpr std::uint64_t calls = 75;
  for (std::uint64_t call = GetParam() * calls; call < (GetParam() + 1) * calls; ++call) {
    SCOPED_TRACE(fmt::format("call {}", call));
    Node node(4711);  // the same history each time
    live_until_cut(node, call);
    ASSERT_FALSE(HasFatalFailure());
    node.disk().restore();
    node.start();
    ASSERT_FALSE(HasFatalFailure());
    node.expect_good();
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, LedgerPowerCutInTurnTest, ::testing::Range<std::uint64_t>(0, 4));

}  // namespace
}  // namespace avseal::ledger::test
