#include "ledger/refusals.hpp"

#include <algorithm>

namespace avseal::ledger {

namespace {

std::int64_t minute_of(std::chrono::system_clock::time_point t) {
  return to_unix(t) / 60;
}

}  // namespace

void RefusalCounts::add(std::string_view client, std::string_view reason, std::chrono::system_clock::time_point now) {
  const auto minute = minute_of(now);
  auto& counts = minutes_.try_emplace(minute, Minutes{minute, {}}).first->second.counts;
  count(counts, Key(client, reason), 1);
  if (minutes_.size() > max_minutes) merge_oldest();
}

void RefusalCounts::count(Counts& counts, Key key, std::int64_t more) {
  if (counts.size() >= max_counts && !counts.contains(key)) key = Key("", "other");
  counts[std::move(key)] += more;
}

void RefusalCounts::merge_oldest() {
  auto& oldest = minutes_.begin()->second;
  const auto next = std::next(minutes_.begin());
  for (const auto& [key, number] : next->second.counts) count(oldest.counts, key, number);
  oldest.last = std::max(oldest.last, next->second.last);
  minutes_.erase(next);
}

std::vector<RefusalCounts::Summary> RefusalCounts::take(std::chrono::system_clock::time_point now, bool all) {
  std::vector<Summary> taken;
  for (auto minute = minutes_.begin(); minute != minutes_.end();) {
    // A minute of the future was counted before the clock was set back: it is over, too.
    if (!all && minute->first == minute_of(now)) {
      ++minute;
      continue;
    }
    for (const auto& [key, number] : minute->second.counts) {
      Summary summary;
      summary.event.type = "refusal";
      summary.event.client = key.first;
      summary.event.details["count"] = number;
      summary.event.details["from"] = minute->first * 60;
      if (minute->second.last != minute->first) summary.event.details["to"] = minute->second.last * 60;
      summary.reason = key.second;
      taken.push_back(std::move(summary));
    }
    minute = minutes_.erase(minute);
  }
  return taken;
}

bool RefusalLimiter::allow(const std::string& client, std::chrono::steady_clock::time_point now) {
  auto& bucket = buckets_.try_emplace(client, Bucket{burst_, now}).first->second;
  const std::chrono::duration<double> elapsed = now - bucket.at;
  bucket.level = std::min(burst_, bucket.level + elapsed.count() * per_second_);
  bucket.at = now;
  if (bucket.level < 1) return false;
  bucket.level -= 1;
  return true;
}

}  // namespace avseal::ledger
