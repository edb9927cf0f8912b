#include "ledger/periods.hpp"

#include "ledger/closing.hpp"
#include "ledger/period.hpp"

namespace avseal::ledger {

Result<Periods::Log> Periods::open() {
  AVSEAL_CHECK(finish_closing(config_.directory, config_.origin, config_.files));
  AVSEAL_TRY(const auto origin, current_origin(config_.directory, config_.origin, clock_()));
  AVSEAL_TRY(const auto published, read_published(config_.directory));
  return open_log(origin, published ? published->size : 0);
}

std::chrono::system_clock::duration Periods::left() const {
  return end_of_year(year_of_log(origin())) - clock_();
}

Result<Periods::Log> Periods::turn() {
  AVSEAL_CHECK(close_log(config_.directory, origin(), config_.files));
  AVSEAL_TRY(const auto next, current_origin(config_.directory, config_.origin, clock_()));
  return open_log(next, 0);
}

void Periods::freeze(const Published& last) const {
  freeze_log(config_.directory, last.origin, *config_.files);
}

Result<Published> Periods::cosign(const Published& last, std::span<const tlog::NoteSignature> cosignatures) const {
  return cosign_closed_log(config_.directory, last, cosignatures, config_.files);
}

std::optional<Published> Periods::last_closed() const {
  const auto year = last_closed_year(config_.directory);
  if (!year) return std::nullopt;
  const auto last = read_published(closed_directory(config_.directory, *year));
  return last ? *last : std::nullopt;
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
    log.uses = log.checkpointer->take_uses();
    if (log.previous) {
      AVSEAL_TRY(const auto last, config_.heads->head(log.previous->origin));
      if (last) {
        AVSEAL_TRY(log.uses, CheckpointUses::parse(last->uses));
      }
    }
  }
  const std::lock_guard lock(mutex_);
  origin_ = origin;
  return log;
}

}  // namespace avseal::ledger
