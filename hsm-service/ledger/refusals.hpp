#pragma once

#include <map>
#include <unordered_map>

#include "ledger/event.hpp"
#include "tokens/clock.hpp"

namespace avseal::ledger {

// Refusals that get no leaf of their own, counted per minute (UTC), client and reason. Bounded: beyond max_counts, they
// are counted as "other". Not thread-safe.
class RefusalCounts {
 public:
  static constexpr std::size_t max_counts = 1024;

  void add(std::string_view client, std::string_view reason, std::chrono::system_clock::time_point now);
  [[nodiscard]] bool empty() const { return minutes_.empty(); }

  struct Summary {
    Event event;  // details: count, from (Unix seconds, start of the minute)
    std::string reason;
  };
  // Takes the minutes that are over, or all.
  std::vector<Summary> take(std::chrono::system_clock::time_point now, bool all);

 private:
  using Key = std::pair<std::string, std::string>;  // client, reason
  std::map<std::int64_t, std::map<Key, std::int64_t>> minutes_;
};

// Token bucket per client. Not thread-safe.
class RefusalLimiter {
 public:
  RefusalLimiter(double per_second, double burst) : per_second_(per_second), burst_(burst) {}
  bool allow(const std::string& client, std::chrono::steady_clock::time_point now);

 private:
  struct Bucket {
    double level;
    std::chrono::steady_clock::time_point at;
  };
  double per_second_;
  double burst_;
  std::unordered_map<std::string, Bucket> buckets_;  // clients are those of the client table
};

}  // namespace avseal::ledger
