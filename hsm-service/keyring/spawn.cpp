#include "keyring/spawn.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

// posix_spawn's two argument objects.
struct SpawnArguments {
  SpawnArguments() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
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

// What the service manager told this process alone is not for its children.
std::vector<char*> environment_of_child() {
  std::vector<char*> kept;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const bool ours =
        text.starts_with("NOTIFY_SOCKET=") || text.starts_with("WATCHDOG_") || text.starts_with("LISTEN_");
    if (!ours) kept.push_back(*variable);
  }
  kept.push_back(nullptr);
  return kept;
}

}  // namespace

Result<Spawned> spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments) {
  const auto failed = [&](int error) {
    return errors::workers_start(fmt::format("starting {} failed: {}", program.string(), std::strerror(error)));
  };
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return failed(errno);
  SpawnArguments with;
  posix_spawn_file_actions_addopen(&with.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&with.actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&with.actions, ends[1], 2);
  posix_spawn_file_actions_addclosefrom_np(&with.actions, 3);
  sigset_t none{};
  sigset_t all{};
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&with.attributes, &none);
  posix_spawnattr_setsigdefault(&with.attributes, &all);
  posix_spawnattr_setpgroup(&with.attributes, 0);
  posix_spawnattr_setflags(&with.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  std::vector<std::string> copies = arguments;
  for (auto& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> environment = environment_of_child();
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, program.c_str(), &with.actions, &with.attributes, argv.data(), environment.data());
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    return failed(error);
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));  // close-on-exec by itself
  if (pidfd < 0) {
    const int why = errno;
    ::close(ends[0]);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failed(why);
  }
  return Spawned{pid, pidfd, ends[0]};
}

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return fmt::format("ended by signal {}", WTERMSIG(status));
  return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace avseal::keyring
