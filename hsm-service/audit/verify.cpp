#include "audit/verify.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "audit/rules.hpp"
#include "audit/tile_proofs.hpp"

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

// What leaf 0 says, which stands in the log only if it has this hash there.
struct Beginning {
  tlog::Hash hash{};
  std::optional<Previous> previous;
};

// Empty where there is none to read. Errors: those of the source.
Result<Beginning> beginning_of(const Period& period) {
  if (period.checkpoint.size == 0) return Beginning{};
  const auto name = tlog::tile_at(std::nullopt, 0, period.checkpoint.size);
  const auto bytes = period.source->tile(name);
  if (!bytes && bytes.error().category == Category::not_found) return Beginning{};
  if (!bytes) return bytes.error();
  const auto entries = tlog::read_bundle(*bytes, name.width);
  Leaf leaf;
  if (!entries || !read_leaf(entries->front(), leaf)) return Beginning{};
  return Beginning{tlog::leaf_hash(entries->front()), previous_in(leaf.parsed_details())};
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
  Result<void> find_periods();
  Result<bool> find_earlier(bool read);
  [[nodiscard]] bool is_known(const std::string& origin) const;
  void read_held();
  void hold(const HeldNote& note, bool since);
  [[nodiscard]] std::vector<Held> held_of(const Period& period) const;
  void refuse_strangers();
  Result<void> check(const Period& period, bool first);
  Result<void> begin(const Period& period, bool goes_on, bool first);
  Result<void> compare_unread(const Period& before, const Period& after);
  void compare_previous(const Period& before, const std::optional<Previous>& named);
  Result<void> check_segments(const Period& current);
  [[nodiscard]] std::uint64_t size_now(const Period& current) const;

  const tlog::Source& source_;
  const Trust& trust_;
  const VerifyOptions& options_;
  Verdict& verdict_;
  History history_;
  std::vector<Period> periods_;  // from the current one back
  std::size_t read_ = 1;         // of them; of those behind only the checkpoints are compared
  std::string not_at_hand_;      // the origin of the log before them, if it was looked for in vain
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
  AVSEAL_CHECK(find_periods());
  refuse_strangers();
  for (auto i = periods_.size() - 1; i >= read_; --i) AVSEAL_CHECK(compare_unread(periods_[i], periods_[i - 1]));
  for (auto i = read_; i-- != 0;) {
    const bool first = i + 1 == read_;
    AVSEAL_CHECK(check(periods_[i], first));
    if (!first) compare_previous(periods_[i + 1], history_.previous());
    ++out_.periods;
  }
  out_.numbers = SavedHistory{periods_.front().checkpoint, history_.state()};
  if (options_.segments) AVSEAL_CHECK(check_segments(periods_.front()));
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

bool Verification::is_known(const std::string& origin) const {
  return std::any_of(periods_.begin(), periods_.end(),
                     [&](const auto& period) { return period.checkpoint.origin == origin; });
}

// Back to the log of `since`, and from there to those of older checkpoints that are held; or as far as they are at
// hand.
Result<void> Verification::find_periods() {
  for (;;) {
    const bool read = !since_ || !is_known(since_->checkpoint.origin);
    const bool all_found =
        std::all_of(held_.begin(), held_.end(), [&](const auto& held) { return is_known(held.checkpoint.origin); });
    if (!read && all_found) return {};
    AVSEAL_TRY(const bool found, find_earlier(read));
    if (!found) return {};
  }
}

// False: there is none, or it is not to be believed.
Result<bool> Verification::find_earlier(bool read) {
  AVSEAL_TRY(const auto beginning, beginning_of(periods_.back()));
  const auto& previous = beginning.previous;
  const auto year = previous ? year_of(previous->origin) : std::string();
  if (year.empty()) return false;
  Period period;
  period.owned = closed_log(source_, year);
  period.source = period.owned.get();
  const auto note = period.source->read("checkpoint");
  if (!note && note.error().category != Category::not_found) return note.error();
  if (!note) {
    not_at_hand_ = previous->origin;
    if (read) {
      verdict_.note("period-not-at-hand", previous->origin,
                    "counters and keys that began in it are judged from their first appearance on",
                    "get its files to judge them from the beginning");
    }
    return false;
  }
  period.note = as_text(*note);
  if (!open(period, trust_.check_closed(period.note))) return false;
  const auto& origin = period.checkpoint.origin;
  if (is_known(origin) || origin != previous->origin) {
    verdict_.broken(rules::previous_differs, period.source->describe("checkpoint"),
                    fmt::format("it is of {}, expected {}", origin, previous->origin));
    return false;
  }
  periods_.push_back(std::move(period));
  if (read) ++read_;
  return true;
}

void Verification::refuse_strangers() {
  const auto why = not_at_hand_.empty()
                       ? std::string()
                       : fmt::format(", of which {} and what is before it are not at hand", not_at_hand_);
  for (const auto& held : held_) {
    if (is_known(held.checkpoint.origin)) continue;
    verdict_.broken(rules::checkpoint_of_other_log, fmt::format("checkpoint {}", held.name),
                    fmt::format("it is of {}, and this log is {}{}", held.checkpoint.origin, out_.origin, why));
  }
}

std::vector<Held> Verification::held_of(const Period& period) const {
  std::vector<Held> held;
  std::copy_if(held_.begin(), held_.end(), std::back_inserter(held),
               [&](const auto& one) { return one.checkpoint.origin == period.checkpoint.origin; });
  return held;
}

Result<void> Verification::check(const Period& period, bool first) {
  const auto& checkpoint = period.checkpoint;
  const bool since_here = since_ && since_->checkpoint.origin == checkpoint.origin;
  const bool goes_on = since_here && since_->checkpoint.size <= checkpoint.size;
  const auto from = goes_on ? since_->checkpoint.size : 0;
  AVSEAL_CHECK(begin(period, goes_on, first));
  LogCheck log(*period.source, checkpoint, verdict_, history_);
  auto checked = log.run(from, held_of(period), options_.threads, options_.progress);
  out_.read += checkpoint.size - from;
  return checked;
}

// With what was known where the last verification ended, if that is where this one begins.
Result<void> Verification::begin(const Period& period, bool goes_on, bool first) {
  const auto& saved = options_.numbers;
  const bool known = goes_on && saved && saved->checkpoint == since_->checkpoint;
  bool midway = !known && goes_on && since_->checkpoint.size != 0;
  if (known) {
    history_.resume(saved->state);
  } else if (first && !midway) {
    AVSEAL_TRY(const auto beginning, beginning_of(period));
    midway = beginning.previous.has_value();
  }
  history_.begin(period.checkpoint.origin, midway);
  if (!goes_on || !history_.state().midway) return {};
  const auto* const why = known   ? "the numbers that were saved with it do not go back to the first leaf"
                          : saved ? "the numbers that were saved beside it are of another checkpoint"
                                  : "no numbers were saved with it";
  verdict_.note("numbers-not-judged", fmt::format("checkpoint {}", since_->name),
                fmt::format("{}: signatures without a leaf that were made before it, or soon after, stay unseen", why),
                "verify the whole log once, without --since and with --save-checkpoint");
  return {};
}

// Of the log before those that are read: its successor's first leaf names its last checkpoint, which continues those
// that are held.
Result<void> Verification::compare_unread(const Period& before, const Period& after) {
  AVSEAL_TRY(const auto beginning, beginning_of(after));
  AVSEAL_TRY(const auto wrong, TileProofs(*after.source, after.checkpoint).has(0, beginning.hash));
  if (wrong.empty()) {
    compare_previous(before, beginning.previous);
  } else {
    verdict_.broken(rules::previous_differs, before.source->describe("checkpoint"),
                    fmt::format("leaf 0 of {}, which names it, is not proved: {}", after.checkpoint.origin, wrong));
  }
  return compare_by_proofs(*before.source, before.checkpoint, held_of(before), verdict_);
}

void Verification::compare_previous(const Period& before, const std::optional<Previous>& named) {
  const auto& found = before.checkpoint;
  if (named && named->size == found.size && named->root == tlog::hash_text(found.root)) return;
  verdict_.broken(
      rules::previous_differs, before.source->describe("checkpoint"),
      fmt::format("it signs {} leaves with root {}, and its successor names {} with root {}", found.size,
                  tlog::hash_text(found.root), named ? named->size : 0, named ? named->root : std::string("none")));
}

// Leaves below the checkpoint must be those of the tree; those above are judged without one. A node removes segments
// when it has published their leaves: they are read again from there, and what is missing between is left to the next
// verification.
Result<void> Verification::check_segments(const Period& current) {
  const auto size = current.checkpoint.size;
  const auto read = [&](const tlog::TileName& name) { return current.source->tile(name); };
  tlog::TileNodes nodes(size, read);
  std::uint64_t next = 0;
  std::uint64_t expected = size;
  Leaf memory;
  const auto take = [&](std::uint64_t index, ByteView leaf) {
    if (index < next) return;
    next = index + 1;
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
  for (auto published = size;;) {
    const auto done = options_.segments(published, take);
    if (done) break;
    const auto now = size_now(current);
    if (now <= published) {
      if (done.error().category == Category::unavailable) return done.error();
      verdict_.broken(rules::segment_broken, "segments", done.error().detail);
      break;
    }
    published = now;
  }
  out_.awaiting = expected - size;
  out_.read += out_.awaiting;
  return {};
}

// Of the log, while it grows; 0: another one stands there, or one that is not to be believed.
std::uint64_t Verification::size_now(const Period& current) const {
  const auto bytes = current.source->read("checkpoint");
  if (!bytes) return 0;
  const auto now = trust_.check_closed(as_text(*bytes));  // its witnesses may not have signed yet
  return now && now->origin == current.checkpoint.origin ? now->size : 0;
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
