// Starts avseal-tokend processes and keeps them running: `spawn = N` of development and quickstart. In production
// systemd does this, under another user.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "tokens/result.hpp"

namespace avseal::keyring {

struct SpawnedToken {
  std::string name;                   // in KeyringConfig::tokens
  std::filesystem::path config_file;  // of avseal-tokend
  unsigned count = 1;
};

struct WorkersConfig {
  std::filesystem::path program = {};      // default: avseal-tokend beside this program
  std::filesystem::path socket_directory;  // exists; the sockets are <token>-<number>.sock in it
  std::vector<SpawnedToken> tokens;
  std::chrono::milliseconds start_limit{15000};                                  // for each worker
  std::chrono::milliseconds stop_limit{3000};                                    // from SIGTERM to SIGKILL
  std::function<void(std::string_view worker, std::string_view line)> log = {};  // their output; default: spdlog
};

// Each worker is `program --config F --socket S --die-with-parent`, with its own process group and no descriptors but 0
// to 2, and is started again 50 ms after it ended, unless it ended with exit code 2: permanent, nothing that another
// try could mend.
class Workers {
 public:
  // Blocks until each socket answers, while another thread runs `context`; that thread must live as long as the workers
  // (PR_SET_PDEATHSIG). A token's first worker starts alone, so that a wrong PIN is tried once. Error "workers-start"
  // with the worker's last line.
  static Result<std::unique_ptr<Workers>> start(WorkersConfig config, boost::asio::io_context& context);
  // Stops them: SIGTERM, at most stop_limit, SIGKILL. Blocks; not on the context's thread while it runs.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  [[nodiscard]] std::vector<std::filesystem::path> sockets(std::string_view token) const;
  [[nodiscard]] std::vector<pid_t> pids() const;  // of those that run now

 private:
  struct Child;
  Workers(WorkersConfig config, boost::asio::io_context& context);
  boost::asio::awaitable<Result<void>> start_all();
  boost::asio::awaitable<Result<void>> start_token(std::span<const std::shared_ptr<Child>> workers);
  static boost::asio::awaitable<void> supervise(std::shared_ptr<Child> child);
  static boost::asio::awaitable<Result<void>> wait_until_ready(std::shared_ptr<Child> child);
  void stop();

  WorkersConfig config_;
  boost::asio::io_context& context_;
  std::vector<std::vector<std::shared_ptr<Child>>> tokens_;  // in the order of config_.tokens
};

}  // namespace avseal::keyring
