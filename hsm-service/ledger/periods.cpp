#include "ledger/periods.hpp"

#include "ledger/closing.hpp"
#include "ledger/period.hpp"

namespace avseal::ledger {

Result<Periods::Log> Periods::open() {
  AVSEAL_CHECK(finish_closing(config_.directory, config_.origin, *config_.files));
  AVSEAL_TRY(const auto origin, current_origin(config_.directory, config_.origin, clock_()));
  AVSEAL_TRY(const auto published, read_published(config_.directory));
  return open_log(origin, published ? published->size : 0);
}

bool Periods::is_over() const {
  return year_of(clock_()) > year_of_log(origin());
}

Result<Periods::Log> Periods::turn() {
  AVSEAL_CHECK(close_log(config_.directory, origin(), *config_.files));
  AVSEAL_TRY(const auto next, current_origin(config_.directory, config_.origin, clock_()));
  return open_log(next, 0);
}

std::string Periods::origin() const {
  const std::lock_guard lock(mutex_);
  return origin_;
}

Result<Periods::Log> Periods::open_log(const std::string& origin, std::uint64_t published) {
  Log log;
  SegmentLog::Options segments{config_.directory,     origin,       published, config_.reserve_bytes,
                               config_.segment_bytes, config_.files};
  AVSEAL_TRY(log.segments, SegmentLog::open(std::move(segments)));
  if (log.segments->next_index() == 0) {
    AVSEAL_TRY(log.previous, previous_log(config_.directory, config_.origin, year_of_log(origin), config_.heads));
  }
  if (config_.heads != nullptr) {
    Checkpointer::Options options{config_.directory, origin, config_.keys, config_.heads, config_.files};
    AVSEAL_TRY(log.checkpointer, Checkpointer::open(std::move(options), log.segments->next_index()));
  }
  const std::lock_guard lock(mutex_);
  origin_ = origin;
  return log;
}

}  // namespace avseal::ledger
