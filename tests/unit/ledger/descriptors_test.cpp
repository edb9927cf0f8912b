// The table of file descriptors is full for a while: the log goes on when it is not any more.
#include <cstdio>
#include <fcntl.h>

#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

using ::testing::HasSubstr;

class LedgerDescriptorsTest : public PublishingFixture {
 protected:
  [[nodiscard]] bool checkpoint_failed() {
    return eventually([this] {
      for (const auto& family : metrics.Collect()) {
        if (family.name == "avseal_ledger_checkpoint_failures_total" && !family.metric.empty()) return true;
      }
      return false;
    });
  }
};

TEST_F(LedgerDescriptorsTest, CheckpointThatCannotBeReadIsNotTakenForAnother) {
  auto ledger = open();
  ASSERT_TRUE(covered(*ledger, 0));
  const auto checkpoint = log() / "checkpoint";
  const auto unreadable = log() / "aside";
  std::filesystem::create_symlink("checkpoint", unreadable);  // in the other's place, it names itself
  const auto exchange = [&] {
    return ::renameat2(AT_FDCWD, checkpoint.c_str(), AT_FDCWD, unreadable.c_str(), RENAME_EXCHANGE);
  };
  ASSERT_EQ(exchange(), 0);
  ASSERT_TRUE(append(*ledger, event()));
  ASSERT_TRUE(checkpoint_failed());
  ASSERT_EQ(exchange(), 0);
  EXPECT_TRUE(ledger->healthy());
  EXPECT_TRUE(covered(*ledger, append(*ledger, event()).value()));
}

TEST_F(LedgerDescriptorsTest, SegmentThatCannotBeMadeIsWaitedFor) {
  for (const int none : {EMFILE, ENFILE, ENOMEM}) {
    auto with = config();
    with.directory = directory.path() / fmt::format("log-{}", none);
    with.heads = nullptr;
    with.segment_bytes = 1000;
    auto ledger = Fixture::open(with);
    files->segment_errno = none;
    auto last = append(*ledger, event());
    while (last) last = append(*ledger, event());
    EXPECT_EQ(last.error().reason, "ledger-full");
    EXPECT_THAT(last.error().detail, HasSubstr(std::strerror(none)));
    files->segment_errno = 0;
    ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
    EXPECT_TRUE(append(*ledger, event()));
  }
}

// The log's own directory cannot be opened to be synced, after names in it were changed.
class UnopenedDirectories final : public FileOps {
 public:
  std::atomic<bool> unopened{false};

  int sync_directory(const std::filesystem::path& directory) override {
    if (!unopened || !exists(directory / "checkpoint")) return FileOps::sync_directory(directory);
    errno = EMFILE;
    return -1;
  }
};

TEST_F(LedgerDescriptorsTest, NamesThatAreNotOnDiskYetAreWrittenAgain) {
  const auto disk = std::make_shared<UnopenedDirectories>();
  auto with = config();
  with.files = disk;
  with.segment_bytes = 1000;
  auto ledger = Fixture::open(with);
  ledger->use_signer(&signer);
  ASSERT_TRUE(covered(*ledger, 0));
  disk->unopened = true;
  auto last = append(*ledger, event());
  while (last) last = append(*ledger, event());
  EXPECT_EQ(last.error().reason, "ledger-full");
  ASSERT_TRUE(checkpoint_failed());
  disk->unopened = false;
  ASSERT_TRUE(eventually([&] { return ledger->healthy().has_value(); }));
  EXPECT_TRUE(covered(*ledger, append(*ledger, event()).value()));
  ledger->close();
  EXPECT_EQ(judge(log(), signer.key()), leaves());
}

}  // namespace
}  // namespace avseal::ledger::test
