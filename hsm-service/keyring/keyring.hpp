// The HSM workers' client: logical keys, least-outstanding choice, retry elsewhere, verify after sign.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <prometheus/registry.h>

#include "keyring/config.hpp"
#include "keyring/status.hpp"
#include "ledger/checkpoint_signer.hpp"
#include "tokens/secret.hpp"

namespace avseal::keyring {

using Deadline = std::chrono::steady_clock::time_point;

// While workers are busy, live requests go before batch work: a call waits for the one, nobody for the other.
enum class Priority { live, batch };

// Another configuration, connected and found usable, for Keyring::adopt(); without that its connections end with it.
// May be destroyed on any thread, before the executor's context.
class Prepared;

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

  // The logical keys with their certificates; until adopt().
  [[nodiscard]] virtual const Keys& keys() const = 0;

  // Signs `input` (a JWS signing input, or a TBSCertificate for ue-ca), raw r || s, verified. The slot remembers every
  // signature made for it. Without a usable worker the request waits for one until its deadline. Errors:
  // "hsm-unavailable" (no worker did it), "hsm-busy", "hsm-refused" (not of the key's kind, or beyond its rate),
  // "deadline", and may_sign's.
  virtual boost::asio::awaitable<Result<Bytes>> sign(ledger::Slot& slot, const SigningKey& key, ByteView input,
                                                     Deadline deadline, Priority priority = Priority::live) = 0;

  // Signs the text of a checkpoint note with a key of kind `ledger`; verified.
  virtual boost::asio::awaitable<Result<ledger::CheckpointSignature>> sign_checkpoint(
      const ledger::CheckpointPermit& permit, const SigningKey& key, std::string_view note_text, Deadline deadline) = 0;

  // Wraps (batch work) and unwraps a data key with kind dac-kek; `aad` must be the same both times. The wrapped form is
  // opaque and names the key.
  virtual boost::asio::awaitable<Result<Bytes>> wrap(const Secret& data_key, ByteView aad, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<Secret>> unwrap(ByteView wrapped, ByteView aad, Deadline deadline) = 0;

  // The two halves of a reconfiguration. prepare() connects to the workers of another configuration and returns when
  // each primary key is usable; its error ("key-configuration", "hsm-unavailable") leaves everything as it was.
  // adopt() sends what comes from now on there, and returns when what was begun before has its answer and the earlier
  // connections are closed (10 s at most). No request is lost or refused by it. Drained tokens stay drained.
  virtual boost::asio::awaitable<Result<std::shared_ptr<Prepared>>> prepare(KeyringConfig config,
                                                                            std::shared_ptr<const Keys> keys) = 0;
  virtual boost::asio::awaitable<void> adopt(std::shared_ptr<Prepared> prepared) = 0;

  // A drained token gets no new work; what it has in flight is answered. Errors: "token-unknown", "token-last-replica"
  // (a primary key would have no usable worker elsewhere).
  virtual Result<void> set_drained(std::string_view token, bool drained) = 0;

  // A worker-made test signature for each key on each worker (never crosses the socket). can_sign: at least one worker
  // passed; why_not names those that did not.
  virtual boost::asio::awaitable<std::vector<KeyStatus>> probe() = 0;
  [[nodiscard]] virtual std::vector<KeyStatus> status() const = 0;    // from what is known, without asking
  [[nodiscard]] virtual std::vector<TokenStatus> tokens() const = 0;  // likewise

  // Signatures that came after their requests had been answered go into the next slot that something is signed for, or
  // into this one, as many as it takes.
  [[nodiscard]] virtual bool has_late_uses() const = 0;
  virtual void tell_late_uses(ledger::Slot& slot) = 0;

  // Nothing but checkpoints is signed any more: who waits gets "hsm-unavailable", connections that owe signatures end.
  virtual void give_up_late() = 0;

  // Fails what waits with "hsm-unavailable" and ends the connections. Done by the destructor too; either before the
  // executor's context dies.
  virtual void close() = 0;

 protected:
  // The one way into Slot::used.
  static void record(ledger::Slot& slot, ledger::KeyUse use);
};

}  // namespace avseal::keyring
