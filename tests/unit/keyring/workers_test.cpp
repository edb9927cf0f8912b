#include "keyring/workers.hpp"

#include <fstream>
#include <mutex>
#include <signal.h>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

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
  workers.reset();
  config.start_limit = 300ms;
  behave("say('the device is busy'); sys.exit(1)");
  const auto started = start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr("hsm-1.sock does not answer"));
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
  behave("say('x' * 10000)");
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
