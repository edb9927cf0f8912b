#include "audit/numbers.hpp"

#include <iterator>

namespace avseal::audit {

Numbers::Added Numbers::add(std::uint64_t first, std::uint64_t last, std::int64_t time) {
  const auto next = runs_.upper_bound(first);
  const auto before = next == runs_.begin() ? runs_.end() : std::prev(next);
  if (before != runs_.end() && before->second.last >= first) return Added::doubled;
  if (next != runs_.end() && next->first <= last) return Added::doubled;

  const bool highest = next == runs_.end();
  const Run run{last, highest ? time : next->second.noticed, highest ? after_crash_ : next->second.crashed};
  if (highest) after_crash_ = false;
  const bool meets_next = !highest && last + 1 == next->first;
  const std::uint64_t end = meets_next ? next->second.last : last;
  if (before != runs_.end() && before->second.last + 1 == first) {
    before->second.last = end;
  } else {
    if (!meets_next && runs_.size() >= max_runs) return Added::too_many;
    runs_.emplace_hint(next, first, Run{end, run.noticed, run.crashed});
  }
  if (meets_next) runs_.erase(next);
  return Added::fresh;
}

void Numbers::crashed(std::int64_t since) {
  for (auto& [first, run] : runs_) run.crashed = run.crashed || run.noticed >= since;
  after_crash_ = true;
}

std::vector<Numbers::Gap> Numbers::gaps() const {
  std::vector<Gap> found;
  std::uint64_t expected = 1;
  for (const auto& [first, run] : runs_) {
    if (first != expected) found.push_back({expected, first - 1, run.noticed, run.crashed});
    expected = run.last + 1;
  }
  return found;
}

}  // namespace avseal::audit
