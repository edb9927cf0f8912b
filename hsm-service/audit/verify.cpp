#include "audit/verify.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "audit/rules.hpp"

namespace avseal::audit {

namespace {

class ClosedLog final : public tlog::Source {
 public:
  ClosedLog(const tlog::Source& source, const std::string& year)
      : source_(source), prefix_(fmt::format("closed/{}/", year)) {}
  [[nodiscard]] Result<Bytes> read(const std::string& path) const override { return source_.read(prefix_ + path); }
  [[nodiscard]] std::string describe(const std::string& path) const override {
    return source_.describe(prefix_ + path);
  }

 private:
  const tlog::Source& source_;
  const std::string prefix_;
};

// One log of the node, with the checkpoint that stands in it.
struct Period {
  std::unique_ptr<tlog::Source> owned;  // empty for the current one
  const tlog::Source* source = nullptr;
  std::string note;
  tlog::Checkpoint checkpoint;
};

std::optional<Previous> previous_of(const Period& period) {
  if (period.checkpoint.size == 0) return std::nullopt;
  const auto name = tlog::tile_at(std::nullopt, 0, period.checkpoint.size);
  const auto bytes = period.source->tile(name);
  if (!bytes) return std::nullopt;
  const auto entries = tlog::read_bundle(*bytes, name.width);
  Leaf leaf;
  if (!entries || !read_leaf(entries->front(), leaf)) return std::nullopt;
  return previous_in(leaf.parsed_details());
}

std::string year_of(std::string_view origin) {
  const auto year = origin.substr(origin.rfind('/') + 1);
  const bool good = year.size() == 4 && year.find_first_not_of("0123456789") == std::string_view::npos;
  return good ? std::string(year) : std::string();
}

class Verification {
 public:
  Verification(const tlog::Source& source, const Trust& trust, const VerifyOptions& options, Verdict& verdict)
      : source_(source), trust_(trust), options_(options), verdict_(verdict), history_(verdict) {}

  Result<Verified> run();

 private:
  bool open(Period& period, Result<tlog::Checkpoint> checkpoint);
  void find_periods();
  void read_held();
  void hold(const HeldNote& note, bool since);
  void refuse_strangers();
  Result<void> check(const Period& period, bool first);
  void compare_previous(const Period& before);
  void check_segments(const Period& current);

  const tlog::Source& source_;
  const Trust& trust_;
  const VerifyOptions& options_;
  Verdict& verdict_;
  History history_;
  std::vector<Period> periods_;  // from the current one back
  std::vector<Held> held_;
  std::optional<Held> since_;
  Verified out_;
};

// With the checkpoint of the period's note; false: it is not to be believed.
bool Verification::open(Period& period, Result<tlog::Checkpoint> checkpoint) {
  if (!checkpoint) {
    verdict_.broken(rules::checkpoint_unsigned, period.source->describe("checkpoint"), checkpoint.error().detail);
    return false;
  }
  period.checkpoint = std::move(*checkpoint);
  return true;
}

Result<Verified> Verification::run() {
  Period current;
  current.source = &source_;
  AVSEAL_TRY(current.note, trust_.read(source_, options_.patience));
  if (!open(current, trust_.check(current.note))) return out_;
  out_.origin = current.checkpoint.origin;
  out_.size = current.checkpoint.size;
  out_.root = current.checkpoint.root;
  out_.note = current.note;
  periods_.push_back(std::move(current));
  read_held();
  find_periods();
  refuse_strangers();
  for (auto period = periods_.rbegin(); period != periods_.rend(); ++period) {
    const bool first = period == periods_.rbegin();
    AVSEAL_CHECK(check(*period, first));
    if (!first) compare_previous(*std::prev(period));
    ++out_.periods;
  }
  if (options_.segments) check_segments(periods_.front());
  history_.finish();
  out_.uses = history_.uses();
  out_.first_time = history_.first_time();
  out_.last_time = history_.last_time();
  out_.totals = history_.totals();
  return out_;
}

void Verification::read_held() {
  for (const auto& note : options_.held) hold(note, false);
  if (options_.since) hold(*options_.since, true);
}

void Verification::hold(const HeldNote& note, bool since) {
  auto checkpoint = trust_.check(note.note);
  if (!checkpoint) {
    return verdict_.broken(rules::checkpoint_unsigned, fmt::format("checkpoint {}", note.name),
                           checkpoint.error().detail);
  }
  held_.push_back({note.name, std::move(*checkpoint)});
  if (since) since_ = held_.back();
}

// Back to the log of `since`, or as far as they are at hand.
void Verification::find_periods() {
  for (;;) {
    const auto& last = periods_.back();
    if (since_ && since_->checkpoint.origin == last.checkpoint.origin) return;
    const auto previous = previous_of(last);
    const auto year = previous ? year_of(previous->origin) : std::string();
    if (year.empty()) return;
    Period period;
    period.owned = closed_log(source_, year);
    period.source = period.owned.get();
    const auto note = period.source->read("checkpoint");
    if (!note) {
      return verdict_.note("period-not-at-hand", previous->origin,
                           "counters and keys that began in it are judged from their first appearance on",
                           "get its files to judge them from the beginning");
    }
    period.note = as_text(*note);
    if (!open(period, trust_.check_closed(period.note))) return;
    const bool known = std::any_of(periods_.begin(), periods_.end(), [&](const auto& other) {
      return other.checkpoint.origin == period.checkpoint.origin;
    });
    if (known || period.checkpoint.origin != previous->origin) {
      return verdict_.broken(rules::previous_differs, period.source->describe("checkpoint"),
                             fmt::format("it is of {}, expected {}", period.checkpoint.origin, previous->origin));
    }
    periods_.push_back(std::move(period));
  }
}

void Verification::refuse_strangers() {
  for (const auto& held : held_) {
    const bool known = std::any_of(periods_.begin(), periods_.end(), [&](const auto& period) {
      return period.checkpoint.origin == held.checkpoint.origin;
    });
    if (known) continue;
    verdict_.broken(rules::checkpoint_of_other_log, fmt::format("checkpoint {}", held.name),
                    fmt::format("it is of {}, and this log is {}", held.checkpoint.origin, out_.origin));
  }
}

Result<void> Verification::check(const Period& period, bool first) {
  const auto& checkpoint = period.checkpoint;
  std::vector<Held> held;
  std::copy_if(held_.begin(), held_.end(), std::back_inserter(held),
               [&](const auto& one) { return one.checkpoint.origin == checkpoint.origin; });
  const bool since_here = since_ && since_->checkpoint.origin == checkpoint.origin;
  const auto from = since_here && since_->checkpoint.size <= checkpoint.size ? since_->checkpoint.size : 0;
  const bool midway = from != 0 || (first && previous_of(period).has_value());
  history_.begin(checkpoint.origin, midway);
  LogCheck log(*period.source, checkpoint, verdict_, history_);
  auto checked = log.run(from, std::move(held), options_.threads, options_.progress);
  out_.read += checkpoint.size - from;
  return checked;
}

void Verification::compare_previous(const Period& before) {
  const auto& named = history_.previous();
  const auto& found = before.checkpoint;
  if (named && named->size == found.size && named->root == tlog::hash_text(found.root)) return;
  verdict_.broken(
      rules::previous_differs, before.source->describe("checkpoint"),
      fmt::format("it signs {} leaves with root {}, and its successor names {} with root {}", found.size,
                  tlog::hash_text(found.root), named ? named->size : 0, named ? named->root : std::string("none")));
}

// Leaves below the checkpoint must be those of the tree; those above are judged without one.
void Verification::check_segments(const Period& current) {
  const auto size = current.checkpoint.size;
  const auto read = [&](const tlog::TileName& name) { return current.source->tile(name); };
  tlog::TileNodes nodes(size, read);
  std::uint64_t expected = size;
  Leaf memory;
  const auto take = [&](std::uint64_t index, ByteView leaf) {
    if (index < size) {
      const auto hash = nodes(0, index);
      if (!hash || *hash == tlog::leaf_hash(leaf)) return;
      return verdict_.broken(rules::segment_differs, fmt::format("leaf {}", index),
                             "its segment has another leaf than the tree");
    }
    if (index != expected) return;
    ++expected;
    history_.take(facts_of(std::span(&leaf, 1), index, memory));
  };
  if (const auto done = options_.segments(size, take); !done) {
    verdict_.broken(rules::segment_broken, "segments", done.error().detail);
  }
  out_.awaiting = expected - size;
  out_.read += out_.awaiting;
}

}  // namespace

Result<Verified> verify(const tlog::Source& source, const Trust& trust, const VerifyOptions& options,
                        Verdict& verdict) {
  return Verification(source, trust, options, verdict).run();
}

std::unique_ptr<tlog::Source> closed_log(const tlog::Source& source, const std::string& year) {
  return std::make_unique<ClosedLog>(source, year);
}

}  // namespace avseal::audit
