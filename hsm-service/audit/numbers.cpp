#include "audit/numbers.hpp"

#include <algorithm>
#include <iterator>

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

}  // namespace avseal::audit
