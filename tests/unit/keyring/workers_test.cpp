#include "keyring/workers.hpp"

#include <fstream>
#include <mutex>
#include <signal.h>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "keyring/repeat_filter.hpp"
#include "support.hpp"

namespace avseal::keyring::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// In the place of avseal-tokend: its "configuration" is a line of Python that runs before it listens.
constexpr std::string_view program = R"(#!/usr/bin/python3
import os, signal, socket, sys, time
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert sys.argv[5] == '--die-with-parent', sys.argv
path = args['--socket']
starts = path + '.starts'
with open(starts, 'a') as f: f.write('x')
start = os.path.getsize(starts)
def say(text): print(text, file=sys.stderr, flush=True)
exec(open(args['--config']).read())
if os.path.exists(path): os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
while True:
    connection, _ = listener.accept()
    connection.sendall(b'hello')
    connection.close()
)";

class WorkersTest : public ::testing::Test {
 protected:
  WorkersTest() : work(context.get_executor()), thread([this] { context.run(); }) {
    write_file(dir / "tokend", program);
    std::filesystem::permissions(dir / "tokend", std::filesystem::perms::owner_all);
    config.program = dir / "tokend";
    config.socket_directory = dir.path();
    config.start_limit = 20s;
    config.log = [this](std::string_view worker, std::string_view line) {
      const std::lock_guard lock(mutex);
      lines.push_back(fmt::format("{}: {}", worker, line));
    };
  }
  ~WorkersTest() override {
    workers.reset();
    work.reset();
    context.stop();
    thread.join();
  }

  void behave(std::string_view python, unsigned count = 1) {
    write_file(dir / "config", python);
    config.tokens = {{"hsm", dir / "config", count}};
  }
  Result<void> start() {
    auto started = Workers::start(config, context);
    if (!started) return started.error();
    workers = std::move(*started);
    return {};
  }
  bool eventually(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < limit) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
  std::size_t starts(unsigned number) {
    std::error_code ec;
    const auto size = std::filesystem::file_size(dir / fmt::format("hsm-{}.sock.starts", number), ec);
    return ec ? 0 : size;
  }

  bool answers(const std::string& worker) {
    asio::io_context here;
    asio::local::stream_protocol::socket socket(here);
    boost::system::error_code ec;
    socket.connect({(dir / (worker + ".sock")).string()}, ec);
    return !ec;
  }

  TempDir dir;
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::thread thread;
  WorkersConfig config;
  std::mutex mutex;
  std::vector<std::string> lines;
  std::unique_ptr<Workers> workers;
};

TEST_F(WorkersTest, StartsThemAndPassesTheirLinesOn) {
  behave("say(f'token ready, fds {sorted(os.listdir(\"/proc/self/fd\"))[:3]}')", 2);
  ASSERT_TRUE(start());
  EXPECT_EQ(workers->sockets("hsm"), (std::vector<std::filesystem::path>{dir / "hsm-1.sock", dir / "hsm-2.sock"}));
  EXPECT_TRUE(workers->sockets("other").empty());
  EXPECT_EQ(workers->pids().size(), 2U);
  for (const auto pid : workers->pids()) EXPECT_EQ(getpgid(pid), pid);
  const std::lock_guard lock(mutex);
  EXPECT_THAT(lines, Contains(HasSubstr("hsm-1: token ready")));
  EXPECT_THAT(lines, Contains(HasSubstr("hsm-2: token ready")));
}

TEST_F(WorkersTest, PassesOnWhatTheySayAtTheirEnd) {
  behave(
      "def end(signal, frame):\n  print('x' * 3000)\n  print('last words', flush=True)\n  os._exit(0)\n"
      "signal.signal(signal.SIGTERM, end)");
  ASSERT_TRUE(start());
  workers.reset();
  const std::lock_guard lock(mutex);
  ASSERT_GE(lines.size(), 2U);
  EXPECT_EQ(lines[lines.size() - 2], "hsm-1: " + std::string(3000, 'x'));
  EXPECT_EQ(lines.back(), "hsm-1: last words");
}

TEST_F(WorkersTest, GivesThemNoDescriptors) {
  std::ofstream open_here(dir / "open");
  const int inheritable = ::dup(0);
  behave(fmt::format("try:\n  os.fstat({})\n  say('inherited')\nexcept OSError: say('closed')", inheritable));
  ASSERT_TRUE(start());
  ::close(inheritable);
  const std::lock_guard lock(mutex);
  EXPECT_THAT(lines, Contains("hsm-1: closed"));
}

TEST_F(WorkersTest, StartsAKilledOneAgain) {
  behave("");
  ASSERT_TRUE(start());
  const auto first = workers->pids().at(0);
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  EXPECT_TRUE(eventually([&] {
    const auto now = workers->pids();
    return now.size() == 1 && now[0] != first && starts(1) == 2;
  }));
}

TEST_F(WorkersTest, PermanentFailureStopsTheStartWithItsLastLine) {
  behave("say('starting'); say('the PIN of token \"hsm\" is wrong'); sys.exit(2)", 2);
  const auto started = start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason, "workers-start");
  EXPECT_EQ(started.error().detail, "an HSM worker did not start: the PIN of token \"hsm\" is wrong");
  EXPECT_EQ(starts(1), 1U) << "tried once";
  EXPECT_EQ(starts(2), 0U) << "the second is not tried at all";
}

TEST_F(WorkersTest, PermanentFailureLaterIsNotTriedAgain) {
  behave("if start > 1: say('the token is gone'); sys.exit(2)");
  ASSERT_TRUE(start());
  ASSERT_EQ(::kill(workers->pids().at(0), SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return starts(1) == 2 && workers->pids().empty(); }));
}

TEST_F(WorkersTest, PassingFailureIsTriedAgainUntilTheLimit) {
  behave("if start < 3: sys.exit(1)");
  EXPECT_TRUE(start());
  EXPECT_EQ(starts(1), 3U);
  EXPECT_TRUE(workers->absent().empty());
  workers.reset();
  config.start_limit = 300ms;
  behave("say('the device is busy'); sys.exit(1)");
  ASSERT_TRUE(start());
  ASSERT_EQ(workers->absent().size(), 1U);
  EXPECT_EQ(workers->absent()[0].why, "the device is busy");
}

TEST_F(WorkersTest, AbsentTokenDoesNotStopTheStartAndIsTakenWhenItComes) {
  behave("if not os.path.exists(path + '.token'): say('the token is not there'); sys.exit(3)", 2);
  write_file(dir / "good", "");
  config.tokens.push_back({"other", dir / "good", 1});
  ASSERT_TRUE(start());
  ASSERT_EQ(workers->absent().size(), 1U);
  EXPECT_EQ(workers->absent()[0].name, "hsm");
  EXPECT_EQ(workers->absent()[0].why, "the token is not there");
  EXPECT_TRUE(eventually([&] { return starts(1) > 3 && starts(2) > 3; }));
  for (int number = 1; number <= 2; ++number) write_file(dir / fmt::format("hsm-{}.sock.token", number), "");
  EXPECT_TRUE(eventually([&] { return answers("hsm-1") && answers("hsm-2"); }));
}

TEST_F(WorkersTest, StartNeedsAReplicaOfEachPrimaryKey) {
  const std::vector<AbsentToken> absent{{"a", "the token is not there"}};
  const KeyConfig on_both{"signer", KeyKind::avatar_id, {}, {"a", "b"}, true};
  const KeyConfig old_one{"old", KeyKind::avatar_id, {}, {"a"}, false};
  const KeyConfig only_there{"log", KeyKind::ledger, {}, {"a"}, true};
  EXPECT_TRUE(check_replicas({on_both, old_one}, absent));
  EXPECT_TRUE(check_replicas({on_both, only_there}, {}));
  const auto refused = check_replicas({on_both, only_there}, absent);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "workers-start");
  EXPECT_THAT(refused.error().detail, HasSubstr("key 'log' is on no token that is there; token a: the token is not"));
}

TEST_F(WorkersTest, RepeatedLinesDoNotFloodTheLog) {
  behave("say(f'2026-01-01T00:00:0{start % 10}.000Z info once'); say('the same'); say(f'life {start}'); sys.exit(1)");
  config.start_limit = 100ms;
  ASSERT_TRUE(start());
  ASSERT_TRUE(eventually([&] { return starts(1) >= 4; }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "hsm-1: the same"), 1);
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), [](auto& line) { return line.ends_with("info once"); }), 1);
  EXPECT_GE(std::count_if(lines.begin(), lines.end(), [](auto& line) { return line.starts_with("hsm-1: life"); }), 3);
}

TEST(RepeatFilterTest, LetsALineThroughOnceAndAgainAfterAWhile) {
  RepeatFilter filter;
  const auto now = std::chrono::steady_clock::now();
  EXPECT_TRUE(filter.admits("2026-01-01T00:00:00.000Z gone", now));
  EXPECT_FALSE(filter.admits("2026-01-01T00:00:29.000Z gone", now + 29s));
  EXPECT_TRUE(filter.admits("gone", now + 30s));
  EXPECT_FALSE(filter.admits("gone", now + 31s)) << "counted from the last one that was let through";
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(filter.admits(fmt::format("line {}", i), now + 31s));
  EXPECT_TRUE(filter.admits("gone", now + 31s)) << "remembers a bounded number";
}

TEST_F(WorkersTest, ReloadStartsWhatIsNewBesideWhatRunsAndStopsWhatItReplaces) {
  behave("");
  write_file(dir / "other-config", "");
  config.tokens.push_back({"other", dir / "other-config", 1});
  ASSERT_TRUE(start());
  const auto before = workers->pids();

  write_file(dir / "config", "say('changed')");
  const std::vector<SpawnedToken> tokens{
      {"hsm", dir / "config", 1}, {"other", dir / "other-config", 1}, {"third", dir / "other-config", 2}};
  const auto prepared = workers->prepare(tokens);
  ASSERT_TRUE(prepared) << prepared.error().detail;
  EXPECT_EQ(workers->sockets("hsm"), std::vector<std::filesystem::path>{dir / "hsm-1.1.sock"}) << "another process";
  EXPECT_EQ(workers->sockets("other"), std::vector<std::filesystem::path>{dir / "other-1.sock"}) << "the same";
  EXPECT_EQ(workers->sockets("third").size(), 2U);
  for (const auto pid : before) EXPECT_EQ(::kill(pid, 0), 0) << "still running";
  workers->adopt();
  EXPECT_EQ(workers->pids().size(), 4U);
  EXPECT_EQ(::kill(before[0], 0), -1) << "replaced";
  EXPECT_EQ(::kill(before[1], 0), 0);

  ASSERT_TRUE(workers->prepare({{"other", dir / "other-config", 1}}));
  workers->adopt();
  EXPECT_EQ(workers->pids(), std::vector<pid_t>{before[1]}) << "removed tokens' workers are stopped";
}

TEST_F(WorkersTest, FailedReloadLeavesWhatRuns) {
  behave("");
  ASSERT_TRUE(start());
  const auto before = workers->pids();
  write_file(dir / "bad", "say('the configuration is bad'); sys.exit(2)");
  const auto prepared = workers->prepare({{"hsm", dir / "config", 2}, {"new", dir / "bad", 1}});
  ASSERT_FALSE(prepared);
  EXPECT_THAT(prepared.error().detail, HasSubstr("the configuration is bad"));
  EXPECT_EQ(workers->pids(), before);
  EXPECT_EQ(workers->sockets("hsm"), std::vector<std::filesystem::path>{dir / "hsm-1.sock"});

  ASSERT_TRUE(workers->prepare({{"hsm", dir / "config", 2}}));
  workers->abandon();
  EXPECT_EQ(workers->pids(), before);
  EXPECT_FALSE(std::filesystem::exists(dir / "hsm-1.2.sock") && answers("hsm-1.2"));
}

TEST_F(WorkersTest, ReloadStartsAgainWhatEndedForGoodAndTheMetricTellsWhy) {
  prometheus::Registry registry;
  config.metrics = &registry;
  std::vector<std::string> told;
  config.on_end = [&](const WorkerEnd& end) { told = {end.token, end.worker, end.reason}; };
  const auto ended = [&] {
    double sum = 0;
    for (const auto& family : registry.Collect()) {
      for (const auto& metric : family.metric) {
        EXPECT_EQ(family.name, "avseal_hsm_workers_ended");
        EXPECT_EQ(metric.label.at(0).value + metric.label.at(1).value, "pin-burnedhsm");
        sum += metric.gauge.value;
      }
    }
    return sum;
  };
  behave("if start == 2: say('avseal-tokend: nobody tries this PIN again (pin-burned)'); sys.exit(2)");
  ASSERT_TRUE(start());
  ASSERT_EQ(::kill(workers->pids().at(0), SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return ended() == 1; }));
  ASSERT_TRUE(workers->prepare(config.tokens));
  workers->adopt();
  EXPECT_EQ(starts(1), 3U);
  EXPECT_EQ(workers->pids().size(), 1U);
  EXPECT_EQ(ended(), 0);
  workers.reset();
  EXPECT_EQ(told, (std::vector<std::string>{"hsm", "hsm-1", "pin-burned"}));
}

TEST_F(WorkersTest, MissingProgramIsAnError) {
  behave("");
  config.program = dir / "absent";
  const auto started = start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr("absent failed: No such file or directory"));
}

TEST_F(WorkersTest, LongSocketPathIsAnError) {
  behave("");
  config.tokens[0].name = std::string(120, 'x');
  const auto started = start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr("longer than 107 bytes"));
}

TEST_F(WorkersTest, DestructionEndsThemEvenIfTheyIgnoreSigterm) {
  behave("signal.signal(signal.SIGTERM, signal.SIG_IGN)", 2);
  config.stop_limit = 100ms;
  ASSERT_TRUE(start());
  const auto pids = workers->pids();
  ASSERT_EQ(pids.size(), 2U);
  workers.reset();
  for (const auto pid : pids) EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(WorkersTest, LongLinesAreCut) {
  behave("say('0123456789' * 1000)");
  ASSERT_TRUE(start());
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return lines.size() >= 3;
  }));
  const std::lock_guard lock(mutex);
  EXPECT_LT(lines[0].size(), 4200U);
}

}  // namespace
}  // namespace avseal::keyring::testing
