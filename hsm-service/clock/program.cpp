#include "clock/program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::clock {
namespace {

using std::chrono::steady_clock;

Error failed(const std::string& program, std::string_view why) {
  return errors::make(Category::unavailable, "program-failed", fmt::format("{} {}", program, why));
}

struct Descriptor {
  explicit Descriptor(int fd) : value(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  void close() {
    if (value >= 0) ::close(value);
    value = -1;
  }
  int value;
};

// posix_spawn's two argument objects: /dev/null as input and for complaints, the pipe as output, no other descriptor,
// no blocked or ignored signal.
struct SpawnArguments {
  explicit SpawnArguments(int output) {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    sigset_t none{};
    sigset_t all{};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnArguments(const SpawnArguments&) = delete;
  SpawnArguments& operator=(const SpawnArguments&) = delete;
  ~SpawnArguments() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

bool wait_readable(int descriptor, steady_clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd ready{descriptor, POLLIN, 0};
    const int count = ::poll(&ready, 1, static_cast<int>(left));
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return false;
  }
}

// True at the end of the output; false when time is up or it is too long.
bool read_all(int from, std::string& out, std::size_t max, steady_clock::time_point until) {
  std::array<char, 1024> chunk{};
  while (wait_readable(from, until)) {
    const auto got = ::read(from, chunk.data(), chunk.size());
    if (got <= 0) return got == 0;
    out.append(chunk.data(), static_cast<std::size_t>(got));
    if (out.size() > max) return false;
  }
  return false;
}

// Its exit status; killed when it has not ended by then.
int reap(pid_t pid, steady_clock::time_point until) {
  const Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (pidfd.value < 0 || !wait_readable(pidfd.value, until)) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Result<std::string> run_program(std::vector<std::string> arguments, std::chrono::milliseconds limit,
                                std::size_t max_output) {
  const std::string program = arguments.front();
  const auto until = steady_clock::now() + limit;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed(program, std::strerror(errno));
  Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const SpawnArguments with(write_end.value);
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &with.actions, &with.attributes, argv.data(), environ);
  if (error != 0) return failed(program, fmt::format("cannot be started: {}", std::strerror(error)));
  write_end.close();
  std::string out;
  const bool complete = read_all(read_end.value, out, max_output, until);
  const int status = reap(pid, complete ? until : steady_clock::time_point{});
  if (!complete || WIFSIGNALED(status)) {
    return failed(program, fmt::format("did not end within {} ms and {} bytes", limit.count(), max_output));
  }
  if (WEXITSTATUS(status) != 0) return failed(program, fmt::format("ended with code {}", WEXITSTATUS(status)));
  return out;
}

}  // namespace avseal::clock
