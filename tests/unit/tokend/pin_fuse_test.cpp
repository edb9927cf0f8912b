// One failed login per token and PIN, whatever dies, restarts or runs at the same time.
#include "tokend/pin_fuse.hpp"

#include <csignal>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "fault_fixture.hpp"

namespace avseal::tokend {
namespace {

using faults::Function;
using ::testing::HasSubstr;

class FuseTest : public FaultTest {
 protected:
  // The file of the one fuse in the state directory; empty: there is none yet.
  std::filesystem::path fuse_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(softhsm.directory.path())) {
      const std::string name = entry.path().filename();
      if (name.starts_with("pin-") && !name.ends_with(".lock") && !name.ends_with(".new")) return entry.path();
    }
    return {};
  }

  FuseState fuse() const {
    if (fuse_file().empty()) return {};
    std::ifstream in(fuse_file());
    const auto state = parse_fuse(std::string(std::istreambuf_iterator<char>(in), {}));
    EXPECT_TRUE(state);
    return *state;
  }

  void runs_and_stops(const std::filesystem::path& config) {
    const auto worker = start(config);
    ASSERT_TRUE(worker->ready()) << worker->log();
    worker->signal(SIGTERM);
    ASSERT_EQ(worker->wait(), 0);
  }

  // How the worker ends for good. While another one starts, SoftHSM may show none of its tokens: then a worker ends as
  // one whose token is away, and is started again.
  std::optional<int> verdict_of(WorkerProcess& worker, const std::filesystem::path& config, const std::string& name) {
    constexpr int token_absent = 3;
    auto status = worker.wait();
    for (int again = 0; status == token_absent && again < 20; ++again) status = start(config, name)->wait();
    return status;
  }

  // A worker that is killed while it is in C_Login.
  void killed_in_login(const std::filesystem::path& config) {
    rule("hang function=C_Login");
    const auto written = [this] {
      return fuse_file().empty() ? std::filesystem::file_time_type() : std::filesystem::last_write_time(fuse_file());
    };
    const auto before = written();
    const auto worker = start(config, "killed");
    EXPECT_TRUE(eventually([&] { return written() != before && fuse().attempt.has_value(); }));
    worker->signal(SIGKILL);
    worker->wait();
    clear();
  }

  // `avseal ...` at a terminal on which `typed` is entered; its exit code, and what the terminal showed.
  std::pair<int, std::string> at_terminal(std::vector<std::string> arguments, const std::string& typed) const {
    arguments.insert(arguments.begin(), std::string(AVSEAL_BINARY_DIR) + "/bin/avseal");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    const std::string line = typed + "\n";
    EXPECT_EQ(::write(terminal, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    std::string shown;
    std::array<char, 512> chunk{};
    for (ssize_t got = 0; (got = ::read(terminal, chunk.data(), chunk.size())) > 0;) {
      shown.append(chunk.data(), static_cast<std::size_t>(got));
    }
    ::close(terminal);
    int status = 0;
    ::waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, shown};
  }

  std::vector<std::string> cli(std::vector<std::string> command) const {
    const std::string directory = softhsm.directory.path();
    command.insert(command.end(), {"--module", worker_module, "--token", "pkcs11:token=test", "--pin-file",
                                   directory + "/pin", "--state-directory", directory});
    return command;
  }
};

TEST_F(FuseTest, TwoWorkersAtOnceSpendOneAttemptOnAWrongPin) {
  softhsm.directory.write("pin", "not-the-pin\n");
  const auto config = config_with({});
  const auto one = start(config, "one");
  const auto two = start(config, "two");
  EXPECT_EQ(verdict_of(*one, config, "one"), 2);
  EXPECT_EQ(verdict_of(*two, config, "two"), 2);
  EXPECT_EQ(start(config, "again")->wait(), 2);
  EXPECT_EQ(failed_logins(), 1U);
  EXPECT_EQ(returned(Function::C_Login, CKR_PIN_INCORRECT), 1U);
}

TEST_F(FuseTest, ABurnedPinIsNotTriedAgainAndAChangedOneIs) {
  const auto config = config_with({});
  rule("return function=C_Login code=CKR_PIN_INCORRECT times=1");  // SoftHSM's own flags stay as they are
  EXPECT_EQ(start(config)->wait(), 2);
  const auto again = start(config);
  EXPECT_EQ(again->wait(), 2);
  EXPECT_THAT(again->last_line(), HasSubstr("refused this PIN before"));
  EXPECT_EQ(calls(Function::C_Login), 1U);
  // A new PIN looks like the old one in one of 16 cases; then another one is needed.
  std::string pin = "1234-user";
  for (int i = 0; i < 8; ++i) {
    const std::string next = "new-pin-" + std::to_string(i);
    {
      const auto real = pkcs11::Module::load(pkcs11::softhsm);
      auto session = pkcs11::Session::open(*pkcs11::Token::find(*real, *pkcs11::Uri::parse_token("pkcs11:token=test")),
                                           pkcs11::Session::Access::read_write);
      ASSERT_TRUE(session && session->login(pkcs11::secret(pin)));
      ASSERT_EQ(session->api().C_SetPIN(session->handle(), reinterpret_cast<unsigned char*>(pin.data()), pin.size(),
                                        reinterpret_cast<unsigned char*>(const_cast<char*>(next.data())), next.size()),
                CKR_OK);
    }
    pin = next;
    softhsm.directory.write("pin", pin + "\n");
    const auto worker = start(config);
    if (worker->wait_or_ready() == std::nullopt) return;  // it serves
  }
  FAIL() << "no new PIN was tried";
}

TEST_F(FuseTest, AnAttemptThatWasKilledCountsAsRefusedWhereThePinIsNotKnownToBeGood) {
  const auto config = config_with({});
  killed_in_login(config);
  const auto next = start(config);
  EXPECT_EQ(next->wait(), 2);
  EXPECT_THAT(next->last_line(), HasSubstr("has no known end"));
  EXPECT_EQ(calls(Function::C_Login), 0U);
}

TEST_F(FuseTest, AnAttemptThatWasKilledIsForgivenThreeTimesWithAGoodPin) {
  const auto config = config_with({});
  runs_and_stops(config);
  ASSERT_TRUE(fuse().good);
  for (int i = 0; i < 3; ++i) killed_in_login(config);
  runs_and_stops(config);  // that settles the third, and begins to count anew
  for (int i = 0; i < 4; ++i) killed_in_login(config);
  const auto next = start(config);
  EXPECT_EQ(next->wait(), 2);
  EXPECT_EQ(failed_logins(), 0U);
}

TEST_F(FuseTest, AGeneralErrorIsNoWrongPin) {
  const auto config = config_with({});
  rule("return function=C_Login code=CKR_GENERAL_ERROR times=3");
  runs_and_stops(config);
  EXPECT_EQ(fuse().burned, 0U);
  EXPECT_FALSE(fuse().attempt);
}

TEST_F(FuseTest, OtherFailuresOfALoginAreClearAndBurnNothing) {
  const auto config = config_with({});
  for (const auto& [code, advice] :
       {std::pair{"CKR_PIN_EXPIRED", "set a new PIN"}, std::pair{"CKR_PIN_LEN_RANGE", "too short or too long"},
        std::pair{"CKR_PIN_LOCKED", "CKR_PIN_LOCKED"}}) {
    clear();
    rule(std::string("return function=C_Login times=1 code=") + code);
    const auto worker = start(config);
    EXPECT_EQ(worker->wait(), 2);
    EXPECT_THAT(worker->last_line(), HasSubstr(advice));
  }
  EXPECT_EQ(fuse().burned, 0U);
  runs_and_stops(config);
}

TEST_F(FuseTest, NobodyTriesWhereTheTokenWarns) {
  const auto config = config_with({});
  for (const char* flag : {"COUNT_LOW", "FINAL_TRY", "LOCKED"}) {
    clear();
    rule(std::string("pin-flags flags=") + flag);
    const auto worker = start(config);
    EXPECT_EQ(worker->wait(), 2);
    EXPECT_THAT(worker->last_line(), HasSubstr(flag));
  }
  EXPECT_EQ(calls(Function::C_Login), 0U);
  clear();
  runs_and_stops(config);
}

TEST_F(FuseTest, ADamagedFuseLetsNobodyTry) {
  const auto config = config_with({});
  runs_and_stops(config);
  std::ofstream(fuse_file()) << "garbage\n";
  const std::uint64_t logins = calls(Function::C_Login);
  EXPECT_EQ(start(config)->wait(), 2);
  EXPECT_EQ(calls(Function::C_Login), logins);
}

TEST_F(FuseTest, TheOperatorsToolIsUnderTheSameFuse) {
  const auto config = config_with({});
  rule("return function=C_Login code=CKR_PIN_INCORRECT times=1");
  EXPECT_EQ(start(config)->wait(), 2);
  const auto [code, shown] = at_terminal(cli({"key", "list"}), "");
  EXPECT_EQ(code, 1);
  EXPECT_THAT(shown, HasSubstr("refused this PIN before"));
  EXPECT_EQ(calls(Function::C_Login), 1U);
}

TEST_F(FuseTest, AnOperatorSpendsOneAttemptByTypingTheTokensLabel) {
  const auto config = config_with({});
  rule("return function=C_Login code=CKR_PIN_INCORRECT times=1");
  EXPECT_EQ(start(config)->wait(), 2);
  rule("pin-flags flags=COUNT_LOW,FINAL_TRY");

  const auto [refused, said] = at_terminal(cli({"token", "login", "--once"}), "tset");
  EXPECT_EQ(refused, 1);
  EXPECT_THAT(said, HasSubstr("nothing was tried"));
  EXPECT_EQ(calls(Function::C_Login), 1U);

  const auto [spent, shown] = at_terminal(cli({"token", "login", "--once"}), "test");
  EXPECT_EQ(spent, 0) << shown;
  EXPECT_EQ(calls(Function::C_Login), 2U);
  EXPECT_EQ(fuse().burned, 0U);
  clear();
  runs_and_stops(config);
}

TEST_F(FuseTest, AnAttemptThatAnOperatorSpendsInVainBurnsThePin) {
  softhsm.directory.write("pin", "not-the-pin\n");
  const auto [code, shown] = at_terminal(cli({"token", "login", "--once"}), "test");
  EXPECT_EQ(code, 1);
  EXPECT_THAT(shown, HasSubstr("CKR_PIN_INCORRECT"));
  EXPECT_NE(fuse().burned, 0U);
  EXPECT_EQ(start(config_with({}))->wait(), 2);
  EXPECT_EQ(failed_logins(), 1U);
}

TEST(FuseState, ComesBackAsItWas) {
  FuseState state;
  state.salt.fill(0xa5);
  state.good = 7;
  state.burned = 0x8001;
  state.attempt = 15;
  state.forgiven = 3;
  const std::string text = format_fuse(state);
  EXPECT_EQ(text,
            "avseal-pin-fuse-v1\nsalt a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\ngood 7\nburned 8001\nattempt f\nforgiven 3\n");
  const auto back = parse_fuse(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(format_fuse(*back), text);
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(parse_fuse(text.substr(0, size))) << size;
  EXPECT_FALSE(parse_fuse(text + "x"));
  EXPECT_FALSE(parse_fuse("avseal-pin-fuse-v2" + text.substr(18)));
}

}  // namespace
}  // namespace avseal::tokend
