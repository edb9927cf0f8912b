#include "keyring/workers.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto respawn_delay = 50ms;
constexpr auto ready_poll = 20ms;
constexpr int permanent_exit = 2;
constexpr std::size_t max_line = 4096;

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

struct Spawned {
  pid_t pid;
  int pidfd;
  int output;  // read end of its stdout and stderr
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

// Nothing of this process goes to the child but the environment: no descriptor, no blocked or ignored signal.
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

}  // namespace

struct Workers::Child {
  Child(const WorkersConfig& config, const SpawnedToken& token, unsigned number, asio::io_context& context)
      : name(fmt::format("{}-{}", token.name, number)),
        socket(config.socket_directory / (name + ".sock")),
        program(config.program),
        arguments{config.program.string(), "--config",         token.config_file.string(), "--socket",
                  socket.string(),         "--die-with-parent"},
        ready_within(config.start_limit),
        log(config.log),
        timer(context),
        output(context),
        pidfd(context) {}

  void tell(std::string_view line) {
    last_line = line;
    if (log) {
      log(name, line);
    } else {
      spdlog::info("{}: {}", name, line);
    }
  }

  // Waits for its end, kills it at `until`.
  void reap(steady_clock::time_point until) {
    const pid_t ending = pid.exchange(-1);
    if (ending <= 0) return;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_clock::now()).count();
    pollfd ended{pidfd.native_handle(), POLLIN, 0};
    if (::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) ::kill(ending, SIGKILL);
    ::waitpid(ending, nullptr, 0);
    boost::system::error_code ignored;
    output.close(ignored);
    pidfd.close(ignored);
  }

  std::string name;
  std::filesystem::path socket;
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::chrono::milliseconds ready_within;
  std::function<void(std::string_view, std::string_view)> log;
  asio::steady_timer timer;
  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor pidfd;
  std::atomic<pid_t> pid{-1};  // -1: none to be waited for; pids() reads it elsewhere
  bool stopping = false;
  bool permanent = false;  // ended for good
  std::string last_line;
};

namespace {

// Passes on lines until the other end is closed, which a worker's end does.
template <class Child>
asio::awaitable<void> pass_lines(std::shared_ptr<Child> child) {
  std::string line;
  std::array<char, 4096> chunk{};
  for (;;) {
    const auto [ec, size] =
        co_await child->output.async_read_some(asio::buffer(chunk), asio::as_tuple(asio::use_awaitable));
    if (ec) break;
    for (const char c : std::string_view(chunk.data(), size)) {
      if (c != '\n') line.push_back(c);
      if (line.empty() || (c != '\n' && line.size() < max_line)) continue;
      child->tell(line);
      line.clear();
    }
  }
  if (!line.empty()) child->tell(line);
}

// True when a worker behind the socket speaks: its hello comes at once.
asio::awaitable<bool> answers(std::filesystem::path path, steady_clock::time_point until) {
  const auto executor = co_await asio::this_coro::executor;
  asio::local::stream_protocol::socket socket(executor);
  asio::steady_timer limit(executor, std::min(until, steady_clock::now() + 1s));
  limit.async_wait([&socket](boost::system::error_code ec) {
    boost::system::error_code ignored;
    if (!ec) socket.close(ignored);
  });
  const asio::local::stream_protocol::endpoint endpoint(path.string());
  const auto [connect_ec] = co_await socket.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
  if (connect_ec) co_return false;
  std::array<char, 4> first{};
  const auto [ec, size] = co_await asio::async_read(socket, asio::buffer(first), asio::as_tuple(asio::use_awaitable));
  co_return !ec && size == first.size();
}

}  // namespace

asio::awaitable<void> Workers::supervise(std::shared_ptr<Child> child) {
  while (!child->stopping) {
    auto spawned = spawn(child->program, child->arguments);
    if (!spawned) {
      child->tell(spawned.error().detail);
      child->permanent = true;
      co_return;
    }
    child->pid = spawned->pid;
    child->output.assign(spawned->output);
    child->pidfd.assign(spawned->pidfd);
    co_await pass_lines(child);
    if (child->stopping) co_return;  // stop() waited for it
    co_await child->pidfd.async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (child->stopping) co_return;
    child->output.close();
    child->pidfd.close();
    int status = 0;
    ::waitpid(child->pid.exchange(-1), &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == permanent_exit) {
      child->permanent = true;
      spdlog::error("HSM worker {} ended for good: {}", child->name, child->last_line);
      co_return;
    }
    spdlog::warn("HSM worker {} {}; it is started again", child->name, describe_exit(status));
    child->timer.expires_after(respawn_delay);
    co_await child->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<Result<void>> Workers::wait_until_ready(std::shared_ptr<Child> child) {
  asio::steady_timer timer(child->timer.get_executor());
  const auto until = steady_clock::now() + child->ready_within;
  for (;;) {
    if (child->permanent) co_return errors::workers_start(child->last_line);
    const bool ready = co_await answers(child->socket, until);
    if (ready) co_return Result<void>{};
    if (steady_clock::now() >= until) {
      const std::string last = child->last_line.empty() ? "it said nothing" : child->last_line;
      co_return errors::workers_start(
          fmt::format("its socket {} does not answer; its last line was: {}", child->socket.string(), last));
    }
    timer.expires_after(ready_poll);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

Workers::Workers(WorkersConfig config, asio::io_context& context) : config_(std::move(config)), context_(context) {
  if (config_.program.empty()) {
    std::error_code ignored;
    config_.program = std::filesystem::read_symlink("/proc/self/exe", ignored).replace_filename("avseal-tokend");
  }
  for (const auto& token : config_.tokens) {
    auto& children = tokens_.emplace_back();
    for (unsigned i = 1; i <= token.count; ++i) {
      children.push_back(std::make_shared<Child>(config_, token, i, context_));
    }
  }
}

Result<std::unique_ptr<Workers>> Workers::start(WorkersConfig config, asio::io_context& context) {
  auto workers = std::unique_ptr<Workers>(new Workers(std::move(config), context));
  auto started = asio::co_spawn(context, workers->start_all(), asio::use_future).get();
  if (!started) return started.error();
  return workers;
}

asio::awaitable<Result<void>> Workers::start_all() {
  for (const auto& children : tokens_) {
    auto started = co_await start_token(children);
    if (!started) co_return started.error();
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Workers::start_token(std::span<const std::shared_ptr<Child>> workers) {
  for (const auto& child : workers) {
    if (child->socket.native().size() >= 108) {  // sun_path
      co_return errors::workers_start(fmt::format("socket path {} is longer than 107 bytes", child->socket.string()));
    }
    std::error_code ignored;
    std::filesystem::remove(child->socket, ignored);  // of a worker that was killed
    asio::co_spawn(context_, supervise(child), asio::detached);
    if (child != workers.front()) continue;
    auto first = co_await wait_until_ready(child);
    if (!first) co_return first.error();
  }
  for (const auto& child : workers) {
    auto ready = co_await wait_until_ready(child);
    if (!ready) co_return ready.error();
  }
  co_return Result<void>{};
}

Workers::~Workers() {
  if (context_.stopped()) {
    stop();
  } else {
    asio::post(context_, std::packaged_task<void()>([this] { stop(); })).get();
  }
}

void Workers::stop() {
  for (const auto& children : tokens_) {
    for (const auto& child : children) {
      child->stopping = true;
      child->timer.cancel();
      if (child->pid > 0) ::kill(child->pid, SIGTERM);
    }
  }
  const auto until = steady_clock::now() + config_.stop_limit;
  for (const auto& children : tokens_) {
    for (const auto& child : children) child->reap(until);
  }
}

std::vector<std::filesystem::path> Workers::sockets(std::string_view token) const {
  std::vector<std::filesystem::path> paths;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (config_.tokens[i].name != token) continue;
    for (const auto& child : tokens_[i]) paths.push_back(child->socket);
  }
  return paths;
}

std::vector<pid_t> Workers::pids() const {
  std::vector<pid_t> running;
  for (const auto& children : tokens_) {
    for (const auto& child : children) {
      if (const pid_t pid = child->pid; pid > 0) running.push_back(pid);
    }
  }
  return running;
}

}  // namespace avseal::keyring
