// The HSM workers' client: logical keys, least-outstanding choice, retry elsewhere, verify after sign.
#pragma once

#include <filesystem>
#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <prometheus/registry.h>

#include "keyring/keys.hpp"
#include "ledger/slot.hpp"
#include "tokens/secret.hpp"

namespace avseal::keyring {

struct TokenConfig {
  std::string name;                            // "hsm-a"
  std::vector<std::filesystem::path> sockets;  // of running workers
};

// A worker's connection ended while it was in use. What it had in flight was sent elsewhere; signatures that it made
// and could not deliver are the only permitted gap in its sequences.
struct WorkerLoss {
  std::string token;
  std::string socket;
  std::string instance;
  std::size_t in_flight = 0;
  std::vector<std::pair<std::string, std::uint64_t>> last_sequences;  // by key, as far as this thread knows
  std::string reason;
};

struct KeyringConfig {
  std::vector<TokenConfig> tokens;
  std::vector<KeyConfig> keys;
  std::chrono::milliseconds attempt_limit{250};
  unsigned verify_after_sign = 1;  // verify one in N signatures; 1: always
  std::size_t window = 32;         // outstanding requests per worker connection
  std::size_t max_queue = 256;     // waiting requests per thread beyond the windows; then "hsm-busy" at once
  std::chrono::milliseconds start_limit{10000};           // open() gives up then
  std::function<void(const WorkerLoss&)> on_worker_lost;  // on the keyring's executor; must not wait
};

using Deadline = std::chrono::steady_clock::time_point;

struct KeyStatus {
  std::string name;
  KeyKind kind;
  bool can_sign = false;  // a connected worker offers it with the certificate's public key
  std::string why_not;
};

// One Keyring belongs to one io thread: it and everything it returns are used on `executor` only, without locks.
class Keyring {
 public:
  // Connects to every worker and compares each key's public key with its certificate. Returns when each key has
  // answered from at least one worker, or with the error that names the key and the reason.
  static boost::asio::awaitable<Result<std::unique_ptr<Keyring>>> open(KeyringConfig config,
                                                                       std::shared_ptr<const Keys> keys,
                                                                       boost::asio::any_io_executor executor,
                                                                       prometheus::Registry& metrics);
  virtual ~Keyring() = default;

  // The logical keys with their certificates.
  [[nodiscard]] virtual const Keys& keys() const = 0;

  // Signs `input` (a JWS signing input, or a TBSCertificate for ue-ca), raw r || s, verified. The slot remembers every
  // signature made for it. Errors: "hsm-unavailable" (no worker answers), "hsm-busy", "hsm-refused" (not of the key's
  // kind, or beyond its rate), "deadline".
  virtual boost::asio::awaitable<Result<Bytes>> sign(ledger::Slot& slot, const SigningKey& key, ByteView input,
                                                     Deadline deadline) = 0;

  // Signs the text of a checkpoint note with key kind `ledger`; raw r || s, verified.
  virtual boost::asio::awaitable<Result<Bytes>> sign_checkpoint(ledger::CheckpointPermit permit,
                                                                std::string_view note_text, Deadline deadline) = 0;

  // Wraps and unwraps a data key with kind dac-kek; `aad` must be the same both times. The wrapped form is opaque and
  // names the key.
  virtual boost::asio::awaitable<Result<Bytes>> wrap(const Secret& data_key, ByteView aad, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<Secret>> unwrap(ByteView wrapped, ByteView aad, Deadline deadline) = 0;

  // A worker-made test signature for each key on each worker (never crosses the socket). can_sign: at least one worker
  // passed; why_not names those that did not.
  virtual boost::asio::awaitable<std::vector<KeyStatus>> probe() = 0;
  [[nodiscard]] virtual std::vector<KeyStatus> status() const = 0;  // from what is known, without asking

  // Fails what waits with "hsm-unavailable" and ends the connections. Done by the destructor too; either before the
  // executor's context dies.
  virtual void close() = 0;

 protected:
  // The one way into Slot::used.
  static void record(ledger::Slot& slot, ledger::KeyUse use);
};

}  // namespace avseal::keyring
