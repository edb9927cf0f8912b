// One worker's process, started again and again.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <prometheus/gauge.h>

#include "keyring/repeat_filter.hpp"
#include "keyring/workers.hpp"

namespace avseal::keyring {

// Belongs to the context's thread once it was begun, but for pid().
class WorkerProcess : public std::enable_shared_from_this<WorkerProcess> {
 public:
  WorkerProcess(const WorkersConfig& config, const SpawnedToken& token, std::string name,
                boost::asio::io_context& context);

  // Starts it and its supervision unless that runs. "workers-start".
  Result<void> begin();
  // True: it answers; false: its token is absent, or it does not answer in time. Error: it ended for good.
  static boost::asio::awaitable<Result<bool>> wait_until_ready(std::shared_ptr<WorkerProcess> process);
  void ask_to_stop();
  void reap(std::chrono::steady_clock::time_point until);  // waits for its end, kills it at `until`

  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }
  [[nodiscard]] std::string why_absent() const;
  [[nodiscard]] pid_t pid() const { return pid_; }  // -1: none

 private:
  static boost::asio::awaitable<void> supervise(std::shared_ptr<WorkerProcess> process);
  boost::asio::awaitable<void> pass_lines();
  void pass(std::string_view text);
  void tell(std::string_view line);
  void note_end(int status);
  void end_for_good();
  void forget_end();
  void close_descriptors();

  const std::string name_;
  const std::string token_;
  const std::filesystem::path socket_;
  const std::filesystem::path program_;
  const std::vector<std::string> arguments_;
  const std::chrono::milliseconds ready_within_;
  const std::function<void(std::string_view, std::string_view)> log_;
  const std::function<void(const WorkerEnd&)> on_end_;
  prometheus::Registry* const metrics_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor pidfd_;
  std::atomic<pid_t> pid_{-1};  // -1: none to be waited for
  bool supervised_ = false;
  bool stopping_ = false;
  bool permanent_ = false;  // ended for good
  bool absent_ = false;     // it said so when it ended last
  std::string line_;        // what it said of one so far
  std::string last_line_;
  RepeatFilter repeated_;
  prometheus::Gauge* ended_ = nullptr;  // counts it while it ended for good
};

}  // namespace avseal::keyring
