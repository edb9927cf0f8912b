#pragma once

#include <mutex>

#include "ledger/checkpointer.hpp"
#include "ledger/segment_log.hpp"

namespace avseal::ledger {

// The logs of a node, one after the other: opens the current one, and when its year is over the next.
class Periods {
 public:
  struct Log {
    std::unique_ptr<SegmentLog> segments;
    std::optional<Checkpointer> checkpointer;  // with heads
    std::optional<Published> previous;         // of a log that begins: the last checkpoint of the one before
    CheckpointUses uses;                       // of the ledger keys, that no leaf tells yet
  };

  // config.files is there.
  Periods(Config config, Clock clock) : config_(std::move(config)), clock_(std::move(clock)) {}

  Result<Log> open();
  [[nodiscard]] std::chrono::system_clock::duration left() const;  // of the current log's year
  // The current log's last checkpoint covers all its leaves, and nobody writes to it. After an error that is not for
  // good, it may be called again.
  Result<Log> turn();
  void freeze(const Published& last) const;  // the log that turn() closed
  // Adds signatures of witnesses to the last checkpoint of a closed log.
  [[nodiscard]] Result<Published> cosign(const Published& last,
                                         std::span<const tlog::NoteSignature> cosignatures) const;
  [[nodiscard]] std::optional<Published> last_closed() const;  // its last checkpoint, if it can be read
  [[nodiscard]] std::string origin() const;                    // of the current log; thread-safe

 private:
  Result<Log> open_log(const std::string& origin, std::uint64_t published);

  const Config config_;
  const Clock clock_;
  mutable std::mutex mutex_;
  std::string origin_;
};

}  // namespace avseal::ledger
