// Requests of one io thread and the workers that may do them: choice, retry elsewhere, deadlines, admission.
#pragma once

#include <random>

#include <boost/asio/any_io_executor.hpp>

#include "keyring/queue.hpp"
#include "keyring/token.hpp"
#include "keyring/worker.hpp"

namespace avseal::keyring {

// A key as the workers know it.
struct PoolKey {
  std::string name;
  KeyKind kind;
  Bytes spki;       // of the certificate; empty for dac-kek
  std::string kid;  // RFC 7638 thumbprint; empty for dac-kek
  bool primary = false;
  std::vector<std::size_t> workers;
  RequestQueue queue;
  KeyMetrics metrics;
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // Error "key-configuration".
  static Result<std::shared_ptr<Pool>> create(const KeyringConfig& config, const Keys& keys,
                                              boost::asio::any_io_executor executor, prometheus::Registry& registry);

  void start();
  // Fails what waits with "hsm-unavailable" and ends the connections.
  void close();
  // Returns when each primary key has a worker; fails at once when all its workers are connected and none can, or at
  // `until`.
  static boost::asio::awaitable<Result<void>> wait_until_usable(std::shared_ptr<Pool> pool, Instant until);

  // Gives the request to a worker or queues it. The answer may be there on return; otherwise wait() resumes when it is,
  // a little before the request's deadline at the latest.
  void submit(Request& request);
  boost::asio::awaitable<void> wait(Request& request);

  [[nodiscard]] std::optional<std::size_t> find(std::string_view key) const;
  [[nodiscard]] std::optional<std::size_t> primary_kek() const;
  [[nodiscard]] PoolKey& key(std::size_t index) { return keys_[index]; }
  [[nodiscard]] std::size_t key_count() const { return keys_.size(); }
  [[nodiscard]] PoolToken& token(std::size_t index) { return tokens_[index]; }
  [[nodiscard]] Worker& worker(std::size_t index) { return *workers_[index]; }
  [[nodiscard]] KeyStatus status(std::size_t key) const;
  [[nodiscard]] std::vector<TokenStatus> tokens() const;
  Result<void> set_drained(std::string_view token, bool drained);
  void keep_drained(const Pool& earlier);  // the tokens that are drained there
  [[nodiscard]] bool idle() const;         // nothing waits, nothing is in flight
  // Signatures that came after their requests had been answered, a few at a time.
  [[nodiscard]] bool has_late_uses() const { return !late_uses_.empty(); }
  [[nodiscard]] std::vector<ledger::KeyUse> take_late_uses();
  void inherit_late_uses(Pool& earlier);
  void give_up_late();  // and refuses from now on what is for a slot
  [[nodiscard]] std::chrono::milliseconds attempt_limit() const { return config_.attempt_limit; }

  // What the breaker of the worker's token goes by: a good answer; a failed, late or false one.
  void credit(const Worker& worker);
  void discredit(const Worker& worker, std::size_t key, std::string_view why);

  // From the workers.
  void connected(const Worker& worker, tokend::TokenInfo token, const WorkerCounts& counts);
  void unreachable(const Worker& worker, const std::string& why);
  void answered(Request& request, Answer answer);
  void failed(Worker& worker, Request& request, const Error& error);
  void retry(Request& request, Discard why);
  void expired(Request& request);
  void was_late(const Worker& worker, std::size_t key);  // once per sweep
  void late(ledger::KeyUse use);
  void lost(const Worker& worker, const WorkerLoss& loss);
  void pump();

 private:
  Pool(const KeyringConfig& config, boost::asio::any_io_executor executor);
  Result<void> add_workers(prometheus::Registry& registry);
  Result<void> add_key(const KeyConfig& config, const Keys& keys, prometheus::Registry& registry);
  [[nodiscard]] bool eligible(const Worker& worker, std::size_t key) const;
  [[nodiscard]] bool takes(const Worker& worker, std::size_t key) const;
  [[nodiscard]] bool has_worker(const PoolToken& token) const;
  void note_failure(PoolToken& token, const Worker& worker, std::size_t key, std::string_view why, bool opened);
  void tripped(PoolToken& token, std::string_view why);
  void recovered(PoolToken& token);
  void redraw_idle_limit(PoolToken& token);
  [[nodiscard]] Instant next_probe(const PoolToken& token) const;
  static boost::asio::awaitable<void> watch(std::shared_ptr<Pool> pool, std::size_t token);
  static boost::asio::awaitable<void> probe(std::shared_ptr<Pool> pool, std::size_t token);
  std::optional<std::pair<std::size_t, std::size_t>> probe_target(PoolToken& token, Instant now);  // worker, key
  Worker* choose(const Request& request, Instant now);
  void assign(Worker& worker, Request& request, Instant now);
  bool assign_next(PoolKey& key, Priority priority, Instant now);
  void dequeue(Request& request);
  void fail_waiting(PoolKey& key, const std::function<bool(const Request&)>& which);
  void enqueue(Request& request, bool first);
  void deliver(Request& request, Result<Answer> answer);
  [[nodiscard]] bool has_usable_worker(std::size_t key) const;
  [[nodiscard]] Error why_not(const Request& request) const;
  [[nodiscard]] std::string why_not(const Worker& worker, std::size_t key) const;  // empty: usable
  [[nodiscard]] bool ends(const Request& request) const { return closed_ || (late_ && request.for_slot); }
  void arm();
  void tick();

  const KeyringConfig config_;
  boost::asio::any_io_executor executor_;
  boost::asio::steady_timer sweep_timer_;
  boost::asio::steady_timer changed_;  // wakes wait_until_usable
  bool armed_ = false;
  bool closed_ = false;
  bool late_ = false;  // give_up_late() was called
  std::vector<PoolKey> keys_;
  std::vector<PoolToken> tokens_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::size_t waiting_ = 0;
  std::vector<ledger::KeyUse> late_uses_;
  std::size_t turn_ = 0;  // where the choice among equals begins
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace avseal::keyring
