#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <prometheus/registry.h>

#include "ledger/checkpoint_signer.hpp"
#include "ledger/file_ops.hpp"
#include "ledger/head.hpp"
#include "ledger/slot.hpp"
#include "tlog/note.hpp"
#include "tokens/clock.hpp"
#include "tokens/secret.hpp"

namespace avseal::ledger {

// The random key of each subject, durable before the first leaf that uses it; kept by the store.
class SubjectKeys {
 public:
  virtual ~SubjectKeys() = default;
  virtual boost::asio::awaitable<Result<Bytes>> key_for(std::string subject) = 0;  // 32 bytes, made on first use
  virtual boost::asio::awaitable<Result<std::optional<Bytes>>> find(std::string subject) = 0;
  virtual boost::asio::awaitable<Result<bool>> erase(std::string subject) = 0;  // false: there was none
};

struct Config {
  std::filesystem::path directory;               // one per node; locked by this process
  std::string origin;                            // "<operator>/<node>"; the log's own is "<origin>/<UTC year>"
  std::uint64_t reserve_bytes = 64 << 20;        // refuse new events when less than this is free
  std::size_t max_pending = 8192;                // events waiting for the group commit
  std::uint64_t segment_bytes = 64 << 20;        // a new segment file is started beyond this
  std::chrono::milliseconds append_limit{1000};  // who waits longer gets "ledger-unavailable"
  double refusals_per_second = 50;               // leaves of their own, per client
  double refusal_burst = 200;
  std::chrono::milliseconds checkpoint_interval{1000};  // at most one checkpoint in that time
  HeadStore* heads = nullptr;  // outlives the ledger; without one, leaves are appended and nothing is published
  std::vector<tokens::PublicKey> keys;  // of all versions of the ledger key: who may have signed the head
  std::shared_ptr<FileOps> files;       // the system's own if empty
};

// A checkpoint that stands in the directory with all its tiles.
struct Published {
  std::string origin;  // of the log
  std::uint64_t size = 0;
  tlog::Hash root{};
  std::string note;  // the content of the file `checkpoint`
};

// The append-only log of every signature, refusal and administrative act. One writer thread; leaves in order of commit;
// group commit with fdatasync before any waiter resumes. Thread-safe; waiters resume on their own executor.
// A failed sync stops it for good ("ledger-unavailable"): the page cache may lie after that.
class Ledger {
 public:
  // Opens or creates the directory, locks it, verifies the segments and cuts a torn tail (never a committed leaf), and
  // with Config::heads verifies the head of the log: "ledger-head". Errors say the file, the offset and what to do. The
  // writer thread starts here.
  static Result<std::shared_ptr<Ledger>> open(Config config, Clock clock, prometheus::Registry& metrics);
  virtual ~Ledger() = default;

  // Before any Slot with subjects is opened. Outlives the ledger's use.
  virtual void use_subject_keys(SubjectKeys& keys) = 0;

  // From now on checkpoints are signed and published; nullptr: not any more, once it returns. Outlives that time.
  virtual void use_signer(CheckpointSigner* signer) = 0;

  // Reserves a place; refuses at once when the log cannot promise durability ("ledger-full", "ledger-busy",
  // "ledger-unavailable").
  virtual boost::asio::awaitable<Result<Slot>> open_slot(Event event) = 0;
  // For what must be told before the service ends: also in a log that takes no new events, in what it keeps in reserve.
  virtual boost::asio::awaitable<Result<Slot>> open_last_slot(Event event) = 0;

  // A refusal without a slot. With event.client: a leaf of its own, durable on return, rate-limited per client (beyond:
  // aggregated). Without: counted, one leaf per reason and minute, never waits.
  virtual boost::asio::awaitable<void> refused(Event event, std::string reason) = 0;

  // Refusals that are known where nothing may wait (TLS handshake, framing). Never blocks.
  virtual void count_unauthenticated(std::string_view reason) = 0;

  // The last published checkpoint; empty before the first.
  [[nodiscard]] virtual std::optional<Published> published() const = 0;
  // The last checkpoint of the log that was closed last; empty: none was.
  [[nodiscard]] virtual std::optional<Published> closed() const = 0;
  // Waits for a published checkpoint of the current log that covers the leaf; gives the latest. Errors
  // "ledger-index-unknown" (not_found): there is no such leaf yet; "ledger-not-covered" (unavailable): not in time.
  virtual boost::asio::awaitable<Result<Published>> covered(std::uint64_t index,
                                                            std::chrono::steady_clock::time_point deadline) = 0;

  // Signatures of witnesses for a published checkpoint; they are added to it if it is still the latest, or closed().
  virtual void cosigned(const Published& checkpoint, std::vector<tlog::NoteSignature> signatures) = 0;

  [[nodiscard]] virtual std::string origin() const = 0;    // of the current log: "<operator>/<node>/<year>"
  [[nodiscard]] virtual std::uint64_t size() const = 0;    // committed leaves
  [[nodiscard]] virtual Result<void> healthy() const = 0;  // why new events would be refused
  [[nodiscard]] virtual bool stopped() const = 0;          // for good, or closed
  virtual void close() = 0;  // commits what waits, publishes it, joins the threads; before the waiters' executors die

 protected:
  using Pending = Slot::Pending;
  static Slot make_slot(std::unique_ptr<Pending> pending);
};

// Leaves of a ledger directory in order, from its bundles and segments, for tests. Checks framing, and the hashes of
// those in segments.
Result<std::vector<std::string>> read_leaves(const std::filesystem::path& directory);

}  // namespace avseal::ledger
