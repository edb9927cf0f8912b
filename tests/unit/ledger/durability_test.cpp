// What the ledger does when the disk is full, slow, broken or taken away.
#include <csignal>
#include <sys/wait.h>

#include "ledger/segment.hpp"
#include "support.hpp"

namespace avseal::ledger::test {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;

class LedgerDurabilityTest : public Fixture {};

TEST_F(LedgerDurabilityTest, FailedSyncStopsItForGood) {
  auto ledger = open();
  auto waiting = run(ledger->open_slot(event()));
  files->sync_errno = EIO;
  const auto failed = append(*ledger, event());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "ledger-unavailable");
  EXPECT_EQ(failed.error().category, Category::unavailable);
  EXPECT_THAT(failed.error().detail, HasSubstr("00000000000000000000.leaves"));
  EXPECT_THAT(failed.error().detail, HasSubstr("leaf 1"));
  files->sync_errno = 0;
  EXPECT_EQ(run(waiting->commit(Outcome::released)).error().reason, "ledger-unavailable");
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-unavailable");
  EXPECT_EQ(ledger->healthy().error().reason, "ledger-unavailable");
  EXPECT_EQ(ledger->size(), 1U);
}

TEST_F(LedgerDurabilityTest, FailedWriteStopsItForGood) {
  auto ledger = open();
  files->write_errno = EIO;
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-unavailable");
  files->write_errno = 0;
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-unavailable");
  ledger->close();
  EXPECT_EQ(leaves().size(), 1U);
}

TEST_F(LedgerDurabilityTest, NothingIsReleasedAfterAFailedSyncUnderLoad) {
  auto ledger = open();
  std::atomic<int> released{0};
  asio::io_context context;
  for (int i = 0; i < 64; ++i) {
    asio::co_spawn(
        context,
        [](Ledger& to, std::atomic<int>& count, FailingFiles& disk) -> asio::awaitable<void> {
          for (int n = 0; n < 10; ++n) {
            auto slot = co_await to.open_slot(event());
            if (!slot) co_return;
            const auto index = co_await slot->commit(Outcome::released);
            if (!index) co_return;
            if (++count == 100) disk.sync_errno = EIO;
          }
        }(*ledger, released, *files),
        asio::detached);
  }
  context.run();
  EXPECT_FALSE(ledger->healthy());
  EXPECT_LT(released.load(), 640);
  EXPECT_EQ(ledger->size(), static_cast<std::uint64_t>(released.load()) + 1);
}

TEST_F(LedgerDurabilityTest, RefusesEarlyWhenTheReserveIsTouchedAndRecovers) {
  auto ledger = open();
  auto slot = run(ledger->open_slot(event()));
  files->free = 1000;
  EXPECT_TRUE(run(slot->commit(Outcome::released))) << "the reserve is for those who have a slot";
  ASSERT_TRUE(eventually([&] { return !ledger->healthy(); }));
  const auto refused = append(*ledger, event());
  EXPECT_EQ(refused.error().reason, "ledger-full");
  EXPECT_GT(refused.error().retry_after.count(), 0);
  files->free = 1ULL << 40;
  EXPECT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_TRUE(append(*ledger, event()));
}

TEST_F(LedgerDurabilityTest, NoRoomForAWriteKeepsNothingOfItAndRecovers) {
  auto ledger = open();
  files->write_half = true;
  files->write_errno = ENOSPC;
  EXPECT_EQ(append(*ledger, event("lost")).error().reason, "ledger-full");
  files->write_errno = 0;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_EQ(append(*ledger, event("kept")).value(), 1U);
  ledger->close();
  EXPECT_EQ(leaf(1).at("event"), "kept");
  EXPECT_EQ(open()->size(), 4U);
}

TEST_F(LedgerDurabilityTest, NoRoomToPreallocateIsFull) {
  auto with = config();
  with.segment_bytes = 4096;  // the step of preallocation, too
  auto ledger = open(with);
  files->preallocate_errno = ENOSPC;
  Result<std::uint64_t> last = std::uint64_t{0};
  for (int i = 0; i < 100 && last; ++i) last = append(*ledger, event());
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().reason, "ledger-full");
}

TEST_F(LedgerDurabilityTest, FilesystemWithoutPreallocationIsAccepted) {
  files->preallocate_errno = EOPNOTSUPP;
  EXPECT_TRUE(append(*open(), event()));
}

TEST_F(LedgerDurabilityTest, NoRoomForAnotherSegmentIsFull) {
  for (const int no_room : {ENOSPC, EDQUOT}) {
    auto with = config();
    with.directory = directory.path() / fmt::format("log-{}", no_room);
    with.segment_bytes = 1000;
    auto ledger = open(with);
    files->segment_errno = no_room;
    auto last = append(*ledger, event());
    while (last) last = append(*ledger, event());
    EXPECT_EQ(last.error().reason, "ledger-full");
    files->segment_errno = 0;
    ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
    EXPECT_TRUE(append(*ledger, event()));
  }
}

TEST_F(LedgerDurabilityTest, StartsOnAFullDiskAndTakesNothingUntilThereIsRoom) {
  files->free = 1000;
  for (int round = 1; round <= 2; ++round) {
    auto ledger = open();
    EXPECT_EQ(ledger->healthy().error().reason, "ledger-full") << "from the first moment";
    EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-full");
    EXPECT_EQ(ledger->size(), static_cast<std::uint64_t>(2 * round - 1)) << "its own leaves are in the reserve";
    ledger->close();
  }
  auto ledger = open();
  files->free = 1ULL << 40;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_EQ(append(*ledger, event()).value(), 5U);
}

TEST_F(LedgerDurabilityTest, WhatIsLeftIsForLeaves) {
  files->room_to_preallocate = 2000;
  auto ledger = open();
  EXPECT_TRUE(append(*ledger, event()));
}

TEST_F(LedgerDurabilityTest, DoesNotStartWithoutRoomForItsFirstLeaf) {
  open()->close();
  files->write_errno = ENOSPC;
  EXPECT_EQ(try_open(config()).error().reason, "ledger-full");
}

TEST_F(LedgerDurabilityTest, HangingDiskFailsWaitersAfterTheLimitAndRecovers) {
  auto with = config();
  with.append_limit = std::chrono::milliseconds(50);
  auto ledger = open(with);
  files->hold_sync = true;
  EXPECT_EQ(append(*ledger, event("late")).error().reason, "ledger-unavailable");
  EXPECT_EQ(ledger->healthy().error().reason, "ledger-unavailable");
  EXPECT_FALSE(append(*ledger, event()));
  files->release_sync();
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_TRUE(append(*ledger, event()));
  ledger->close();
  EXPECT_EQ(leaf(1).at("event"), "late") << "the log may claim more than was released, never less";
}

TEST_F(LedgerDurabilityTest, NobodyResumesBeforeTheSync) {
  auto ledger = open();
  files->hold_sync = true;
  const int syncs = files->syncs;
  std::atomic<bool> resumed{false};
  std::thread caller([&] {
    (void)append(*ledger, event());
    resumed = true;
  });
  EXPECT_TRUE(eventually([&] { return files->syncs > syncs; }));
  EXPECT_FALSE(resumed);
  EXPECT_EQ(ledger->size(), 1U);
  files->release_sync();
  caller.join();
  EXPECT_EQ(ledger->size(), 2U);
}

TEST_F(LedgerDurabilityTest, DeletedSegmentStopsIt) {
  auto ledger = open();
  std::filesystem::remove(segments().at(0));
  EXPECT_EQ(append(*ledger, event()).error().reason, "ledger-unavailable");
}

TEST_F(LedgerDurabilityTest, ReplacedSegmentStopsIt) {
  auto ledger = open();
  const auto file = segments().at(0);
  const auto bytes = read_file(file);
  std::filesystem::remove(file);
  write_file(file, bytes);
  const auto refused = append(*ledger, event());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("replaced"));
}

TEST_F(LedgerDurabilityTest, ShortenedOrGrownSegmentStopsIt) {
  auto ledger = open();
  ASSERT_TRUE(append(*ledger, event()));
  const auto file = segments().at(0);
  const auto sealed = [&] { return read_file(file).ends_with(as_text(encode_seal(2))); };
  ASSERT_TRUE(eventually(sealed));
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + 1);
  const auto refused = append(*ledger, event());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("somebody else writes"));
}

TEST_F(LedgerDurabilityTest, OneProcessPerDirectory) {
  auto ledger = open();
  const auto second = try_open(config());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "ledger-locked");
  EXPECT_THAT(second.error().detail, HasSubstr(config().directory.string()));
  ledger->close();
  EXPECT_TRUE(try_open(config())) << "a closed ledger gives its directory back";
}

TEST_F(LedgerDurabilityTest, OtherOriginIsRefused) {
  open()->close();
  auto with = config();
  with.origin = "operator.example/node-2";
  EXPECT_EQ(try_open(with).error().reason, "ledger-origin");
}

TEST_F(LedgerDurabilityTest, DirectoryThatCannotBeMadeIsNamed) {
  write_file(directory.path() / "log", "a file");
  const auto refused = try_open(config());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ledger-unavailable");
  EXPECT_THAT(refused.error().detail, HasSubstr(config().directory.string()));
}

// A child commits in a loop and tells each index; whatever it told must be there after kill -9.
[[noreturn]] void commit_for_ever(const Config& config, int out) {
  prometheus::Registry registry;
  auto ledger = Ledger::open(config, system_clock_now, registry);
  if (!ledger) ::_exit(1);
  asio::io_context context;
  for (int i = 0; i < 8; ++i) {
    asio::co_spawn(
        context,
        [](Ledger& to, int fd) -> asio::awaitable<void> {
          for (;;) {
            auto slot = co_await to.open_slot(event());
            const auto leaf = co_await slot->commit(Outcome::released);
            const std::uint64_t told = leaf->index;
            if (::write(fd, &told, sizeof told) != sizeof told) ::_exit(1);
          }
        }(**ledger, out),
        asio::detached);
  }
  context.run();
  ::_exit(1);
}

TEST_F(LedgerDurabilityTest, EveryIndexThatWasToldSurvivesKill) {
  std::uint64_t highest = 0;
  auto with = config();
  with.files.reset();
  with.segment_bytes = 50'000;
  for (int round = 0; round < 3; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) commit_for_ever(with, pipe[1]);
    ::close(pipe[1]);
    std::uint64_t told = 0;
    int count = 0;
    while (::read(pipe[0], &told, sizeof told) == sizeof told) {
      highest = std::max(highest, told);
      if (++count == 200 + 37 * round) ::kill(child, SIGKILL);
    }
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto ledger = open(with);
    EXPECT_GT(ledger->size(), highest);
    ledger->close();
    const auto all = leaves();
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(boost::json::parse(all[i]).at("index").as_int64(), static_cast<std::int64_t>(i));
    }
  }
  EXPECT_GT(highest, 600U);
}

}  // namespace
}  // namespace avseal::ledger::test
