#include "keyring/worker_process.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "keyring/errors.hpp"
#include "keyring/spawn.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds first_respawn = 50ms;
constexpr std::chrono::milliseconds longest_respawn = 200ms;  // a token that returns is in use again within a second
constexpr auto short_life = 1s;
constexpr auto poll_interval = 20ms;
constexpr int permanent_exit = 2;
constexpr int absent_exit = 3;
constexpr std::size_t max_line = 4096;
constexpr std::size_t max_reason = 40;

// "pin-burned" of "avseal-tokend: ... (pin-burned)".
std::string reason_of(std::string_view line) {
  const auto open = line.rfind('(');
  if (open == std::string_view::npos || !line.ends_with(')')) return "unknown";
  const auto reason = line.substr(open + 1, line.size() - open - 2);
  const auto is_reason = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (reason.empty() || reason.size() > max_reason || !std::all_of(reason.begin(), reason.end(), is_reason)) {
    return "unknown";
  }
  return std::string(reason);
}

// True when a worker behind the socket speaks: its hello comes at once.
asio::awaitable<bool> answers(std::filesystem::path path, steady_clock::time_point until) {
  const auto executor = co_await asio::this_coro::executor;
  const auto socket = std::make_shared<asio::local::stream_protocol::socket>(executor);
  asio::steady_timer limit(executor, std::min(until, steady_clock::now() + 1s));
  limit.async_wait([socket](boost::system::error_code ec) {  // may come after the coroutine's end
    boost::system::error_code ignored;
    if (!ec) socket->close(ignored);
  });
  const asio::local::stream_protocol::endpoint endpoint(path.string());
  const auto [connect_ec] = co_await socket->async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
  if (connect_ec) co_return false;
  std::array<char, 4> first{};
  const auto [ec, size] = co_await asio::async_read(*socket, asio::buffer(first), asio::as_tuple(asio::use_awaitable));
  co_return !ec && size == first.size();
}

}  // namespace

WorkerProcess::WorkerProcess(const WorkersConfig& config, const SpawnedToken& token, std::string name,
                             asio::io_context& context)
    : name_(std::move(name)),
      token_(token.name),
      socket_(config.socket_directory / (name_ + ".sock")),
      program_(config.program),
      arguments_{config.program.string(), "--config",         token.config_file.string(), "--socket",
                 socket_.string(),        "--die-with-parent"},
      ready_within_(config.start_limit),
      log_(config.log),
      on_end_(config.on_end),
      metrics_(config.metrics),
      timer_(context),
      output_(context),
      pidfd_(context) {}

Result<void> WorkerProcess::begin() {
  if (supervised_) return {};
  if (socket_.native().size() >= 108) {  // sun_path
    return errors::workers_start(fmt::format("socket path {} is longer than 107 bytes", socket_.string()));
  }
  std::error_code ignored;
  std::filesystem::remove(socket_, ignored);  // of a worker that was killed
  supervised_ = true;
  forget_end();
  asio::co_spawn(timer_.get_executor(), supervise(shared_from_this()), asio::detached);
  return {};
}

asio::awaitable<void> WorkerProcess::supervise(std::shared_ptr<WorkerProcess> process) {
  auto& self = *process;
  auto pause = first_respawn;
  while (!self.stopping_) {
    const auto begun = steady_clock::now();
    auto spawned = spawn(self.program_, self.arguments_);
    if (!spawned) {
      self.tell(spawned.error().detail);
      self.end_for_good();
      co_return;
    }
    self.pid_ = spawned->pid;
    self.output_.assign(spawned->output);
    self.pidfd_.assign(spawned->pidfd);
    co_await self.pass_lines();
    if (self.pid_ <= 0) co_return;  // reap() waited for it
    co_await self.pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    const pid_t ended = self.pid_.exchange(-1);
    if (ended <= 0) co_return;
    int status = 0;
    ::waitpid(ended, &status, 0);
    self.close_descriptors();
    if (self.stopping_) co_return;
    self.note_end(status);
    if (self.permanent_) co_return;
    pause = steady_clock::now() - begun < short_life ? std::min(pause * 2, longest_respawn) : first_respawn;
    self.timer_.expires_after(pause);
    co_await self.timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<Result<bool>> WorkerProcess::wait_until_ready(std::shared_ptr<WorkerProcess> process) {
  const auto& self = *process;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const auto until = steady_clock::now() + self.ready_within_;
  for (;;) {
    if (self.permanent_) co_return errors::workers_start(self.last_line_);
    const bool ready = co_await answers(self.socket_, until);
    if (ready || self.absent_ || steady_clock::now() >= until) co_return ready;
    timer.expires_after(poll_interval);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

std::string WorkerProcess::why_absent() const {
  return last_line_.empty() ? fmt::format("its socket {} does not answer", socket_.string()) : last_line_;
}

void WorkerProcess::tell(std::string_view line) {
  last_line_ = line;
  if (!repeated_.admits(line, steady_clock::now())) return;
  if (log_) {
    log_(name_, line);
  } else {
    spdlog::info("{}: {}", name_, line);
  }
}

void WorkerProcess::note_end(int status) {
  absent_ = WIFEXITED(status) && WEXITSTATUS(status) == absent_exit;
  if (WIFEXITED(status) && WEXITSTATUS(status) == permanent_exit) return end_for_good();
  const auto line = fmt::format("{}; it is started again; its last line was: {}", describe_exit(status), last_line_);
  if (repeated_.admits(line, steady_clock::now())) spdlog::warn("HSM worker {} {}", name_, line);
}

void WorkerProcess::end_for_good() {
  permanent_ = true;
  supervised_ = false;
  spdlog::error("HSM worker {} ended for good: {}", name_, last_line_);
  const std::string reason = reason_of(last_line_);
  if (on_end_) on_end_({token_, name_, reason});
  if (metrics_ == nullptr) return;
  ended_ = &prometheus::BuildGauge()
                .Name("avseal_hsm_workers_ended")
                .Help("Workers that ended for good, by token and reason")
                .Register(*metrics_)
                .Add({{"token", token_}, {"reason", reason}});
  ended_->Increment();
}

void WorkerProcess::forget_end() {
  permanent_ = false;
  if (ended_ != nullptr) std::exchange(ended_, nullptr)->Decrement();
}

void WorkerProcess::ask_to_stop() {
  stopping_ = true;
  timer_.cancel();
  forget_end();
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void WorkerProcess::reap(steady_clock::time_point until) {
  const pid_t ending = pid_.exchange(-1);
  if (ending <= 0) return;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_clock::now()).count();
  pollfd end{pidfd_.native_handle(), POLLIN, 0};
  if (::poll(&end, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) ::kill(ending, SIGKILL);
  ::waitpid(ending, nullptr, 0);
  std::array<char, 4096> last{};  // what it said at its end
  for (;;) {
    const auto size = ::read(output_.native_handle(), last.data(), last.size());
    if (size <= 0) break;
    pass({last.data(), static_cast<std::size_t>(size)});
  }
  close_descriptors();
}

void WorkerProcess::close_descriptors() {
  boost::system::error_code ignored;
  output_.close(ignored);
  pidfd_.close(ignored);
}

// Passes on its lines until the other end is closed, which a worker's end does.
asio::awaitable<void> WorkerProcess::pass_lines() {
  line_.clear();
  std::array<char, 4096> chunk{};
  for (;;) {
    const auto [ec, size] = co_await output_.async_read_some(asio::buffer(chunk), asio::as_tuple(asio::use_awaitable));
    if (ec) break;
    pass({chunk.data(), size});
  }
  if (!line_.empty()) tell(line_);
}

void WorkerProcess::pass(std::string_view text) {
  for (const char c : text) {
    if (c != '\n') line_.push_back(c);
    if (line_.empty() || (c != '\n' && line_.size() < max_line)) continue;
    tell(line_);
    line_.clear();
  }
}

}  // namespace avseal::keyring
