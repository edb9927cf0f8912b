// The worker's side of the HSM: one logged-in token and its configured keys.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "tokend/key.hpp"
#include "tokend/protocol.hpp"
#include "tokend/watchdog.hpp"

namespace avseal::tokend {

// Shared by the session threads. Keys stay as they were found by open(); the token and the login may be found again.
class Hsm {
 public:
  // Loads the module, finds the token, logs in once, finds every key exactly once and tries it.
  static Result<std::unique_ptr<Hsm>> open(const Config& config, Watchdog::Call& watched);

  // After the login was lost: finds the token anew, in whatever slot it is, logs in unless that is done, finds the keys
  // and compares them with those from before. Every session from before is then of an earlier generation and not to be
  // used again. One thread at a time.
  Result<void> reopen(Watchdog::Call& watched);
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // A session of this generation. The token's last one may be that of the login, which is given away then.
  Result<pkcs11::Session> open_session();

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] unsigned wanted_sessions() const;  // one where the module takes one thread only
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;  // index in keys()
  [[nodiscard]] std::vector<KeyInfo> announcement() const;
  [[nodiscard]] const TokenInfo& token_info() const { return token_info_; }

  // Signatures that never left the process: one with each key in open(), and probes since.
  [[nodiscard]] std::uint64_t test_signatures() const { return test_signatures_.load(std::memory_order_relaxed); }
  void probed(const Key& key) {
    if (key.public_key) test_signatures_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  Hsm(const Config& config, std::shared_ptr<const pkcs11::Module> module)
      : config_(config), module_(std::move(module)) {}
  Result<pkcs11::Session> log_in(Watchdog::Call& watched);

  const Config config_;
  const std::shared_ptr<const pkcs11::Module> module_;
  std::vector<Key> keys_;
  TokenInfo token_info_;

  std::mutex mutex_;
  std::optional<pkcs11::Token> token_;
  std::optional<pkcs11::Session> login_;  // keeps the login while other sessions come and go
  pkcs11::Session::Access access_ = pkcs11::Session::Access::read_only;  // what the module takes
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> test_signatures_{0};
};

}  // namespace avseal::tokend
