// Syncs of what is published that fail: the log stops for good, and goes on after a restart.
#include <unistd.h>

#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::HasSubstr;

enum class Sync { none, tile, checkpoint, tile_directory, checkpoint_directory };

// The system's calls; syncs of one kind fail.
class FailingSyncs final : public FileOps {
 public:
  std::atomic<Sync> failing{Sync::none};

  explicit FailingSyncs(std::filesystem::path log) : log_(std::move(log)) {}
  int fdatasync(int fd) override {
    const auto file = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd));
    if (file.filename().string().starts_with("new-") && fails(is_checkpoint(fd) ? Sync::checkpoint : Sync::tile)) {
      return -1;
    }
    return FileOps::fdatasync(fd);
  }
  int sync_directory(const std::filesystem::path& path) override {
    const bool of_tiles = path.lexically_relative(log_).string().starts_with("tile/");
    return fails(of_tiles ? Sync::tile_directory : Sync::checkpoint_directory) ? -1 : FileOps::sync_directory(path);
  }

 private:
  [[nodiscard]] bool fails(Sync sync) const {
    if (failing != sync) return false;
    errno = EIO;
    return true;
  }
  static bool is_checkpoint(int fd) {
    constexpr std::string_view origin = "operator.example/node-1/";
    std::array<char, origin.size()> begin{};
    return ::pread(fd, begin.data(), begin.size(), 0) == std::ssize(begin) &&
           origin == std::string_view(begin.data(), begin.size());
  }
  const std::filesystem::path log_;
};

class LedgerPublishingFailureTest : public PublishingFixture {
 protected:
  // One checkpoint is published; at the next, the sync fails.
  void expect_stop(Sync sync, const std::string& file) {
    const auto failing = std::make_shared<FailingSyncs>(log());
    auto with = config();
    with.files = failing;
    auto ledger = Fixture::open(with);
    ledger->use_signer(&signer);
    const auto before = covered(*ledger, 0).value();
    failing->failing = sync;
    const auto index = append(*ledger, event()).value();
    ASSERT_TRUE(eventually([&] { return ledger->stopped(); }));
    failing->failing = Sync::none;

    const auto why = ledger->healthy().error();
    EXPECT_EQ(why.reason, "ledger-unavailable");
    EXPECT_THAT(why.detail, HasSubstr(fmt::format("cannot sync {}", (log() / file).string())));
    EXPECT_THAT(why.detail, HasSubstr("Input/output error"));
    EXPECT_EQ(append(*ledger, event()).error().detail, why.detail);
    EXPECT_EQ(covered(*ledger, index).error().reason, "ledger-not-covered");
    EXPECT_EQ(ledger->published()->note, before.note);
    const bool named = sync == Sync::checkpoint_directory;
    EXPECT_EQ(read_file(log() / "checkpoint") == before.note, !named) << "nothing has its name before it is on disk";
    ledger->close();
    expect_good_after_restart(index);
  }

  void expect_good_after_restart(std::uint64_t released) {
    open()->close();
    const auto all = judge(log(), signer.key());
    ASSERT_EQ(all.size(), released + 3) << "with the leaves of the second start and stop";
    EXPECT_EQ(boost::json::parse(all.at(released)).at("event"), "sign.avatar-id");
    expect_one_history(signer.texts, all);
    expect_one_history(heads.notes, all);
  }
};

TEST_F(LedgerPublishingFailureTest, FailedSyncOfATileStopsItForGood) {
  expect_stop(Sync::tile, "tile/");
}

TEST_F(LedgerPublishingFailureTest, FailedSyncOfTheCheckpointStopsItForGood) {
  expect_stop(Sync::checkpoint, "checkpoint");
}

TEST_F(LedgerPublishingFailureTest, FailedSyncOfADirectoryOfTilesStopsItForGood) {
  expect_stop(Sync::tile_directory, "tile/");
}

TEST_F(LedgerPublishingFailureTest, FailedSyncOfTheCheckpointsDirectoryStopsItForGood) {
  expect_stop(Sync::checkpoint_directory, "");
}

}  // namespace
}  // namespace avseal::ledger::test
