#include "audit/numbers.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "audit/saved.hpp"

namespace avseal::audit {

Numbers::Added Numbers::add(std::uint64_t first, std::uint64_t last, std::int64_t time) {
  const auto above = runs_.upper_bound(first);
  const auto before = above == runs_.begin() ? runs_.end() : std::prev(above);
  if (before != runs_.end() && before->second.last >= first) return Added::doubled;
  auto next = above;
  for (; next != runs_.end() && next->first <= last; ++next) {
    if (!next->second.empty(next->first)) return Added::doubled;
  }

  const bool unseen = above == runs_.end();
  Run run{last, unseen ? time : above->second.noticed, unseen ? crash_at(time) : above->second.crash};
  if (next == runs_.end()) after_crash_ = 0;
  const bool meets_next = next != runs_.end() && last + 1 == next->first;
  const bool goes_on = before != runs_.end() && before->second.last + 1 == first;
  if (!goes_on && !meets_next && runs_.size() >= max_runs) return Added::too_many;
  if (meets_next) run.last = (next++)->second.last;
  for (auto within = above; within != next; within = runs_.erase(within)) {
    run.since = std::max(run.since, within->second.since);
  }
  if (goes_on) {
    before->second.last = run.last;
    before->second.since = std::max(before->second.since, run.since);
  } else {
    runs_.emplace(first, run);
  }
  return Added::fresh;
}

Numbers::Added Numbers::told(std::uint64_t last, std::int64_t time, std::int64_t since) {
  const auto crash = crash_at(time);
  if (after_crash_ != 0) crash_settled_ = std::min(crash_settled_, time + in_flight_time);
  if (last == highest() && last != 0) runs_.rbegin()->second.since = std::max(runs_.rbegin()->second.since, since);
  if (last <= highest()) return Added::fresh;
  if (runs_.size() >= max_runs) return Added::too_many;
  runs_.emplace_hint(runs_.end(), last + 1, Run{last, time, crash, since});
  return Added::fresh;
}

void Numbers::crashed(std::int64_t since) {
  ++crashes_;
  for (auto& [first, run] : runs_) {
    if (run.crash == 0 && run.noticed >= since) run.crash = crashes_;
  }
  after_crash_ = crashes_;
  crash_settled_ = std::numeric_limits<std::int64_t>::max();
}

std::vector<Numbers::Gap> Numbers::gaps() const {
  std::vector<Gap> found;
  std::uint64_t expected = 1;
  std::int64_t since = 0;
  for (const auto& [first, run] : runs_) {
    if (first != expected) found.push_back({expected, first - 1, run.noticed, since, run.crash});
    expected = run.last + 1;
    since = std::max(since, run.since);
  }
  return found;
}

boost::json::object Numbers::saved() const {
  boost::json::array runs;
  for (const auto& [first, run] : runs_) {
    runs.push_back(boost::json::array{first, run.last, run.noticed, run.crash, run.since});
  }
  return {{"after_crash", after_crash_},
          {"crash_settled", crash_settled_},
          {"crashes", crashes_},
          {"runs", std::move(runs)}};
}

// Only what add(), told() and crashed() can have made, for they rely on it.
Result<Numbers> Numbers::restored(tokens::ObjectReader reader) {
  AVSEAL_TRY(const auto after_crash, reader.integer("after_crash"));
  AVSEAL_TRY(const auto crashes, reader.integer("crashes"));
  AVSEAL_TRY(const auto runs, reader.array("runs"));
  Numbers numbers;
  AVSEAL_TRY(numbers.crash_settled_, reader.integer("crash_settled"));
  if (!std::in_range<unsigned>(crashes) || (after_crash != 0 && after_crash != crashes)) {
    return saved_malformed("a counter's ends of the node");
  }
  numbers.crashes_ = static_cast<unsigned>(crashes);
  numbers.after_crash_ = static_cast<unsigned>(after_crash);
  if (runs->size() > max_runs) return saved_malformed("more runs of numbers than are kept");
  for (const auto& value : *runs) {
    AVSEAL_TRY(const auto named, restored_run(value));
    const auto& [first, run] = named;
    const auto highest = numbers.highest();
    const bool apart = numbers.runs_.empty() || (first > highest && first - highest >= 2);
    if (!apart || run.crash > numbers.crashes_) return saved_malformed("runs of numbers that meet");
    numbers.runs_.emplace_hint(numbers.runs_.end(), first, run);
  }
  return numbers;
}

Result<std::pair<std::uint64_t, Numbers::Run>> Numbers::restored_run(const boost::json::value& saved) {
  const auto* fields = saved.if_array();
  boost::system::error_code failed;
  const auto read = [&](std::size_t i, auto& out) {
    if (!failed) out = (*fields)[i].to_number<std::remove_reference_t<decltype(out)>>(failed);
  };
  std::uint64_t first = 0;
  Run run{};
  if (fields == nullptr || fields->size() != 5) return saved_malformed("a run that has not five numbers");
  read(0, first);
  read(1, run.last);
  read(2, run.noticed);
  read(3, run.crash);
  read(4, run.since);
  const bool good = !failed && first >= 1 && run.last >= first - 1 && is_time(run.noticed) && is_time(run.since);
  if (!good) return saved_malformed("a run of numbers that none was");
  return std::pair{first, run};
}

}  // namespace avseal::audit
