// A closed log is read-only, and of use as it is. And what is published has its modes whatever the umask.
#include <sys/wait.h>

#include "audit/export.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t two_months = 60 * 86'400;
constexpr auto writing = fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;

std::vector<std::string> below(const fs::path& directory) {
  std::vector<std::string> paths{directory};
  for (const auto& entry : fs::recursive_directory_iterator(directory)) paths.push_back(entry.path());
  return paths;
}

int mode_of(const fs::path& path) {
  return static_cast<int>(fs::status(path).permissions());
}

std::vector<std::string> writable(const fs::path& directory) {
  auto paths = below(directory);
  std::erase_if(paths, [](const auto& path) { return (fs::status(path).permissions() & writing) == fs::perms::none; });
  return paths;
}

class LedgerFrozenTest : public PublishingFixture {
 protected:
  [[nodiscard]] fs::path closed() const { return log() / "closed" / "2025"; }

  // The log of 2025 is closed when it returns.
  void turn(const Config& with) {
    auto ledger = Fixture::open(with);
    ledger->use_signer(&signer);
    Event loaded = event("keys.loaded");
    loaded.details["keys"] = boost::json::array{boost::json::object{
        {"key", "ledger"}, {"kid", signer.key().thumbprint()}, {"kind", "ledger"}, {"state", "active"}}};
    ASSERT_TRUE(append(*ledger, loaded));
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(append(*ledger, event("subscription.put")));
    clock.advance(two_months);
    (void)append(*ledger, event("subscription.put"));
    ASSERT_TRUE(eventually([&] { return ledger->origin() == "operator.example/node-1/2026"; }));
    ledger->close();
  }
};

TEST_F(LedgerFrozenTest, NobodyMayWriteToAClosedLog) {
  turn(config());
  EXPECT_EQ(writable(closed()), std::vector<std::string>());
  EXPECT_EQ(mode_of(closed() / "checkpoint"), 0444);
  EXPECT_EQ(mode_of(closed() / "tile" / "0" / "000"), 0444);
  EXPECT_EQ(mode_of(closed() / "tile"), 0555);
  EXPECT_EQ(writable(log() / "closed").size(), 1U) << "where the next one will be";
}

TEST_F(LedgerFrozenTest, WhatWasInterruptedIsFinishedAndOnlyTheRightToWriteIsTaken) {
  files->chmod_errno = EPERM;
  turn(config());
  ASSERT_EQ(writable(closed()), below(closed())) << "nothing was frozen, and the log went on";
  files->chmod_errno = 0;
  fs::permissions(closed() / "tile" / "0" / "000", fs::perms(0600));
  fs::permissions(closed() / "tile" / "entries", fs::perms(0775));
  open()->close();
  EXPECT_EQ(writable(closed()), std::vector<std::string>());
  EXPECT_EQ(mode_of(closed() / "tile" / "0" / "000"), 0400);
  EXPECT_EQ(mode_of(closed() / "tile" / "entries"), 0555);

  fs::permissions(closed(), fs::perms(0755));
  fs::permissions(closed() / "checkpoint", fs::perms(0644));
  open()->close();
  EXPECT_EQ(writable(closed()), std::vector<std::string>()) << "a signature was being added";
}

// The act's expectations count here, too.
void as_ordinary_user(const std::function<void()>& act) {
  constexpr uid_t nobody = 65534;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::getuid() == 0 && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) ::_exit(2);
    act();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(LedgerFrozenTest, ClosedLogIsReadVerifiedExportedAndDeletedByAnOrdinaryUser) {
  as_ordinary_user([this] {
    auto own = std::make_unique<TempDir>();
    auto with = config();
    with.directory = own->path() / "log";
    turn(with);
    const auto closed_log = with.directory / "closed" / "2025";
    EXPECT_FALSE(std::ofstream(closed_log / "checkpoint").is_open());
    std::error_code refused;
    EXPECT_FALSE(fs::remove(closed_log / "tile" / "0" / "000", refused));
    EXPECT_EQ(refused, std::errc::permission_denied);

    const auto key = tlog::VerifierKey::of("operator.example/node-1/2025", signer.key()).value();
    audit::Verdict verdict;
    const auto read = audit::verify(*tlog::open_directory(with.directory), audit::Trust::of_keys({key}), {}, verdict);
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_TRUE(verdict.good());
    EXPECT_EQ(read->periods, 2U);
    tlog::Policy policy;
    policy.logs.push_back({key, {}});
    const audit::ExportOptions range{3, 290, {}, own->path() / "export", false};
    const auto exported = audit::export_range(*tlog::open_directory(closed_log), policy, range, {});
    EXPECT_TRUE(exported) << exported.error().detail;

    const tlog::NoteSignature witness{"witness.example", 7, Bytes(72, 1)};
    auto ledger = Fixture::open(with);
    ledger->cosigned(ledger->closed().value(), {witness});
    EXPECT_TRUE(eventually([&] { return tlog::Note::parse(ledger->closed()->note)->signatures.size() == 2; }));
    ledger->close();
    EXPECT_EQ(tlog::Note::parse(read_file(closed_log / "checkpoint"))->signatures.back(), witness);
    EXPECT_EQ(writable(closed_log), std::vector<std::string>());

    const auto path = own->path();
    own.reset();
    EXPECT_FALSE(fs::exists(path));
  });
}

class LedgerModesTest : public LedgerFrozenTest, public ::testing::WithParamInterface<mode_t> {};

TEST_P(LedgerModesTest, AreThoseOfTheDesignWhateverTheUmask) {
  const mode_t before = ::umask(GetParam());
  turn(config());
  ::umask(before);
  EXPECT_EQ(mode_of(log()), 0700);
  EXPECT_EQ(mode_of(log() / "closed"), 0755);
  EXPECT_EQ(mode_of(closed()), 0555);
  for (const auto& path : below(log())) {
    if (path == log() || path.starts_with((log() / "closed").string())) continue;
    const int expected = fs::is_directory(path) ? 0755 : path.ends_with(".leaves") ? 0640 : 0644;
    EXPECT_EQ(mode_of(path), expected) << path;
  }
  for (const auto& path : below(closed())) EXPECT_EQ(mode_of(path), fs::is_directory(path) ? 0555 : 0444) << path;
}

INSTANTIATE_TEST_SUITE_P(Umasks, LedgerModesTest, ::testing::Values(0077, 0022, 0));

}  // namespace
}  // namespace avseal::ledger::test
