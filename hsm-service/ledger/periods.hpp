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
  };

  // config.files is there.
  Periods(Config config, Clock clock) : config_(std::move(config)), clock_(std::move(clock)) {}

  Result<Log> open();
  [[nodiscard]] bool is_over() const;  // the current log's year
  // The current log's last checkpoint covers all its leaves, and nobody writes to it. An error is for good.
  Result<Log> turn();
  [[nodiscard]] std::string origin() const;  // of the current log; thread-safe

 private:
  Result<Log> open_log(const std::string& origin, std::uint64_t published);

  const Config config_;
  const Clock clock_;
  mutable std::mutex mutex_;
  std::string origin_;
};

}  // namespace avseal::ledger
