#pragma once

#include "ledger/checkpoint_uses.hpp"
#include "ledger/ledger.hpp"
#include "ledger/log_files.hpp"
#include "ledger/segment_cursor.hpp"
#include "ledger/tree_edge.hpp"

namespace avseal::ledger {

// The checkpoint that stands in a directory, not yet verified; empty: none. Error "ledger-head".
Result<std::optional<Published>> read_published(const std::filesystem::path& directory);

// A checkpoint's note with more signatures; those of a signer that it has already are replaced.
Result<std::string> with_signatures(std::string_view note, std::span<const tlog::NoteSignature> more);

// Makes checkpoints of one log, in this order: leaves read from the segments, where they are on disk; signed;
// remembered by the HeadStore, from which on the checkpoint counts as given out; tiles; the file `checkpoint`. For one
// thread.
class Checkpointer {
 public:
  struct Options {
    std::filesystem::path directory;
    std::string origin;  // of the log
    std::vector<tokens::PublicKey> keys;
    HeadStore* heads = nullptr;
    std::shared_ptr<FileOps> files;
  };

  // Verifies that directory and HeadStore tell one history, reading no more than the tree's right edge, and finishes a
  // publication that was interrupted. committed: leaves in the segments and tiles. Error "ledger-head".
  static Result<Checkpointer> open(Options options, std::uint64_t committed);

  [[nodiscard]] const std::optional<Published>& published() const { return published_; }
  [[nodiscard]] std::uint64_t size() const { return published_ ? published_->size : 0; }

  // Publishes a checkpoint of at least one and at most about 65,536 more leaves of those that are committed. After an
  // error for which is_for_good() is false, it may be called again.
  Result<void> publish(std::uint64_t committed, CheckpointSigner& signer);
  static bool is_for_good(const Error& error);
  // Adds signatures of witnesses to the published checkpoint. Errors as of publish().
  Result<void> add(std::span<const tlog::NoteSignature> cosignatures);

  // Of the ledger keys, that no leaf tells yet.
  [[nodiscard]] const CheckpointUses& uses() const { return uses_; }
  CheckpointUses take_uses() { return std::exchange(uses_, {}); }

 private:
  explicit Checkpointer(Options options) : options_(std::move(options)), files_(options_.directory, options_.files) {}
  Result<void> verify(const std::optional<Published>& found, std::uint64_t committed);
  [[nodiscard]] Result<void> compare(const std::optional<Published>& found, std::uint64_t committed) const;
  Result<void> read_edge(const Published& found);
  Result<void> finish_publication();

  Result<void> make(std::uint64_t committed, CheckpointSigner& signer);
  Result<Head> sign(CheckpointSigner& signer);
  Result<void> remember(Head next);
  Result<void> settle_attempt();
  Result<void> read_leaves(std::uint64_t end, std::size_t most_bytes);
  Result<void> write_files();
  Result<void> write_checkpoint(std::string_view note);
  Result<void> check_directory();
  void clean(std::uint64_t before);
  [[nodiscard]] bool is_written() const { return !head_ || head_->size == size(); }

  Options options_;
  LogFiles files_;
  std::optional<SegmentCursor> cursor_;
  TreeEdge edge_;
  std::optional<Head> head_;        // as the store has it
  std::optional<Head> attempt_;     // of which it is not known whether the store has it
  std::vector<LogFile> unwritten_;  // of head_
  std::optional<Published> published_;
  std::vector<std::string> notes_;  // of which one is in the file `checkpoint`: several after a write that failed
  CheckpointUses uses_;
  std::uint64_t oldest_segment_ = 0;
};

}  // namespace avseal::ledger
