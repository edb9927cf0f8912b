// The disk hangs, and answers again: who waits for it, for how long, and what is told then.
#include <future>
#include <set>

#include "ledger/segment.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

namespace asio = boost::asio;

// The system's calls; those on segments may hang.
class HangingFiles final : public FileOps {
 public:
  void hang_syncs() { hang(syncs_); }
  void hang_seals() { hang(seals_); }
  void let_one_sync_pass() {
    const std::lock_guard lock(mutex_);
    ++syncs_.passes;
    wake_.notify_all();
  }
  void answer() {
    const std::lock_guard lock(mutex_);
    syncs_.hangs = seals_.hangs = false;
    wake_.notify_all();
  }
  [[nodiscard]] int hanging() const {
    const std::lock_guard lock(mutex_);
    return hanging_;
  }
  std::atomic<std::uint64_t> free{1ULL << 40};

  ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) override {
    if (size == batch_header_size && offset != 0) wait(seals_);
    return FileOps::pwrite(fd, data, size, offset);
  }
  int fdatasync(int fd) override {
    if (std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd)).extension() == ".leaves") wait(syncs_);
    return FileOps::fdatasync(fd);
  }
  std::optional<std::uint64_t> free_bytes(const std::filesystem::path&) override { return free.load(); }

 private:
  struct Calls {
    bool hangs = false;
    int passes = 0;
  };
  void hang(Calls& calls) {
    const std::lock_guard lock(mutex_);
    calls.hangs = true;
  }
  void wait(Calls& calls) {
    std::unique_lock lock(mutex_);
    if (!calls.hangs) return;
    ++hanging_;
    wake_.wait(lock, [&] { return !calls.hangs || calls.passes > 0; });
    if (calls.hangs) --calls.passes;
    --hanging_;
  }

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Calls syncs_;
  Calls seals_;
  int hanging_ = 0;
};

class LedgerStallTest : public PublishingFixture {
 protected:
  std::shared_ptr<HangingFiles> disk = std::make_shared<HangingFiles>();

  [[nodiscard]] Config config() {
    auto config = PublishingFixture::config();
    config.files = disk;
    config.append_limit = std::chrono::milliseconds(100);
    return config;
  }
  // With a seal on its first leaf: nobody is on the disk.
  [[nodiscard]] std::shared_ptr<Ledger> open() {
    auto ledger = Fixture::open(config());
    EXPECT_TRUE(eventually([this] { return read_file(segments().at(0)).ends_with(as_text(encode_seal(1))); }));
    return ledger;
  }
  [[nodiscard]] bool hangs() const {
    return eventually([this] { return disk->hanging() != 0; });
  }
  static bool refuses(const Ledger& ledger, std::string_view reason) {
    return eventually([&] {
      const auto healthy = ledger.healthy();
      return !healthy && healthy.error().reason == reason;
    });
  }
};

// Commits slots that are open already, each on its own; how many came back, and how.
class Commits {
 public:
  Commits(Ledger& ledger, int count, const Event& what) {
    for (int i = 0; i < count; ++i) slots_.push_back(run(ledger.open_slot(what)).value());
  }
  Commits(const Commits&) = delete;
  Commits& operator=(const Commits&) = delete;
  ~Commits() {
    if (thread_.joinable()) thread_.join();
  }

  void start() {  // all wait for the log when it returns
    for (auto& slot : slots_) asio::co_spawn(context_, commit(std::move(slot)), asio::detached);
    std::promise<void> begun;
    asio::post(context_, [&begun] { begun.set_value(); });
    thread_ = std::thread([this] { context_.run(); });
    begun.get_future().wait();
  }
  [[nodiscard]] bool all_stalled() const {
    return eventually([this] { return stalled_ == static_cast<int>(slots_.size()); });
  }

 private:
  asio::awaitable<void> commit(Slot slot) {
    const auto done = co_await slot.commit(Outcome::released);
    if (!done && done.error().reason == "ledger-unavailable") ++stalled_;
  }

  asio::io_context context_;
  std::vector<Slot> slots_;
  std::atomic<int> stalled_{0};
  std::thread thread_;
};

TEST_F(LedgerStallTest, WhoWaitsBehindASealThatHangsIsFailed) {
  auto ledger = open();
  Commits late(*ledger, 1, event("late"));
  disk->hang_seals();
  EXPECT_TRUE(append(*ledger, event())) << "the seal comes after the answer";
  EXPECT_TRUE(hangs());
  late.start();
  EXPECT_TRUE(late.all_stalled());
  EXPECT_TRUE(refuses(*ledger, "ledger-unavailable"));
  disk->answer();
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_TRUE(append(*ledger, event()));
  ledger->close();
  EXPECT_EQ(leaf(2).at("event"), "late");
}

TEST_F(LedgerStallTest, GoesOnAfterASealForWhichNobodyWaited) {
  auto ledger = open();
  disk->hang_seals();
  disk->free = 1000;
  EXPECT_TRUE(append(*ledger, event()));
  EXPECT_TRUE(hangs());
  EXPECT_TRUE(refuses(*ledger, "ledger-unavailable"));
  disk->answer();
  EXPECT_TRUE(refuses(*ledger, "ledger-full"));
  disk->free = 1ULL << 40;
  EXPECT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
}

TEST_F(LedgerStallTest, WhoIsInALaterBatchIsFailedToo) {
  constexpr int count = 2 * max_batch_leaves + 100;
  auto with = config();
  with.append_limit = std::chrono::milliseconds(500);
  auto ledger = Fixture::open(with);
  Commits first(*ledger, 1, event());
  Commits many(*ledger, count, event());
  disk->hang_syncs();
  first.start();
  EXPECT_TRUE(hangs());
  many.start();
  disk->let_one_sync_pass();
  EXPECT_TRUE(many.all_stalled());
  disk->answer();
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ledger->close();
  EXPECT_EQ(leaves().size(), static_cast<std::size_t>(count) + 3);
}

// As if its key had been used often before the first checkpoint, for something else in between: many runs of numbers.
class BusySigner final : public CheckpointSigner {
 public:
  explicit BusySigner(SoftSigner& signer) : signer_(signer) {}
  Result<std::vector<CheckpointSignature>> sign(const CheckpointPermit& permit, const std::string& text) override {
    AVSEAL_TRY(auto signatures, signer_.sign(permit, text));
    auto& uses = signatures.at(0).uses;
    if (sequence_ == 0) uses.resize(300, uses.at(0));
    for (auto& use : uses) use.sequence = sequence_ += 2;
    return signatures;
  }

 private:
  SoftSigner& signer_;
  std::uint64_t sequence_ = 0;
};

TEST_F(LedgerStallTest, UsesOfTheLedgerKeyAreToldOnce) {
  BusySigner busy(signer);
  auto ledger = open();
  disk->hang_syncs();
  ledger->use_signer(&busy);
  EXPECT_TRUE(hangs()) << "the leaf that tells them";
  EXPECT_TRUE(refuses(*ledger, "ledger-unavailable"));
  disk->answer();
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  ASSERT_TRUE(covered(*ledger, 1));
  ledger->close();

  std::set<std::int64_t> told;
  for (const auto& text : leaves()) {
    const auto leaf = boost::json::parse(text).as_object();
    if (!leaf.contains("details") || !leaf.at("details").as_object().contains("uses")) continue;
    for (const auto& use : leaf.at("details").at("uses").as_array()) {
      for (const auto& run : use.at("sequences").as_array()) {
        EXPECT_TRUE(told.insert(run.at(0).as_int64()).second) << run << " is told twice";
      }
    }
  }
  EXPECT_GE(told.size(), 300U);
}

}  // namespace
}  // namespace avseal::ledger::test
