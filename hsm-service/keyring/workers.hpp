// Starts avseal-tokend processes and keeps them running: `spawn = N` of development and quickstart. In production
// systemd does this, under another user.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <prometheus/registry.h>

#include "keyring/config.hpp"

namespace avseal::keyring {

struct SpawnedToken {
  std::string name;                   // in KeyringConfig::tokens
  std::filesystem::path config_file;  // of avseal-tokend
  unsigned count = 1;
};

// Of a worker that is not started again, for nothing would change.
struct WorkerEnd {
  std::string token;
  std::string worker;
  std::string reason;  // "pin-burned"
};

struct WorkersConfig {
  std::filesystem::path program = {};      // default: avseal-tokend beside this program
  std::filesystem::path socket_directory;  // exists; the sockets are <token>-<number>[.<reload>].sock in it
  std::vector<SpawnedToken> tokens;
  std::chrono::milliseconds start_limit{15000};                                  // for each worker
  std::chrono::milliseconds stop_limit{3000};                                    // from SIGTERM to SIGKILL
  std::function<void(std::string_view worker, std::string_view line)> log = {};  // their output; default: spdlog
  prometheus::Registry* metrics = nullptr;                                       // without: none
  std::function<void(const WorkerEnd&)> on_end = {};                             // on the context; must not wait
};

// A token none of whose workers was ready in time, or whose first one said that the token is not there.
struct AbsentToken {
  std::string name;
  std::string why;  // the worker's last line
};

// "workers-start" if a primary key has no token but absent ones; else the service can start, and takes them as they
// come.
Result<void> check_replicas(const std::vector<KeyConfig>& keys, const std::vector<AbsentToken>& absent);

// Each worker is `program --config F --socket S --die-with-parent`, with its own process group and no descriptors but 0
// to 2, and is started again soon after it ended, unless it ended with exit code 2: permanent, nothing that another
// try could mend. All functions block, on any thread but the context's, and are called by one at a time.
class Workers {
 public:
  // Starts all tokens' workers while another thread runs `context`; that thread must live as long as the workers
  // (PR_SET_PDEATHSIG). A token's first worker starts alone, so that a wrong PIN is tried once. Error "workers-start"
  // with a worker's last line when it ended for good; a token that is absent is none.
  static Result<std::unique_ptr<Workers>> start(WorkersConfig config, boost::asio::io_context& context);
  // Stops them: SIGTERM, at most stop_limit, SIGKILL.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // The two halves of a reload. prepare() starts workers of new tokens, of those whose configuration file or count
  // changed, beside the ones that run, and ended ones again; its error leaves what ran. Afterwards sockets() and
  // absent() tell of these. adopt() stops what they replace, abandon() stops them instead.
  Result<void> prepare(std::vector<SpawnedToken> tokens);
  void adopt();
  void abandon();

  [[nodiscard]] std::vector<std::filesystem::path> sockets(std::string_view token) const;
  void add_sockets(std::vector<TokenConfig>& tokens) const;  // to those that are spawned
  [[nodiscard]] const std::vector<AbsentToken>& absent() const { return absent_; }
  [[nodiscard]] std::vector<pid_t> pids() const;  // of those that run now

 private:
  struct Group;  // a token's workers, all of one configuration
  using GroupPtr = std::shared_ptr<Group>;
  using Groups = std::vector<GroupPtr>;

  Workers(WorkersConfig config, boost::asio::io_context& context);
  [[nodiscard]] GroupPtr make_group(const SpawnedToken& token, unsigned reload) const;
  Result<void> start_all(const Groups& groups);
  void stop(const Groups& groups);
  static boost::asio::awaitable<Result<std::vector<AbsentToken>>> start_groups(Groups groups);

  WorkersConfig config_;
  boost::asio::io_context& context_;
  Groups running_;
  Groups next_;  // between prepare() and its second half; shares unchanged groups with running_
  bool prepared_ = false;
  unsigned reloads_ = 0;
  std::vector<AbsentToken> absent_;
};

}  // namespace avseal::keyring
