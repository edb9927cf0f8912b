#pragma once

#include <map>
#include <unordered_map>

#include "ledger/event.hpp"
#include "tokens/clock.hpp"

namespace avseal::ledger {

// Refusals that get no leaf of their own, counted per minute (UTC), client and reason. Bounded: beyond max_counts of a
// minute, they are counted as "other"; beyond max_minutes, the oldest ones become one. Not thread-safe.
class RefusalCounts {
 public:
  static constexpr std::size_t max_counts = 1024;
  static constexpr std::size_t max_minutes = 16;

  void add(std::string_view client, std::string_view reason, std::chrono::system_clock::time_point now);
  [[nodiscard]] bool empty() const { return minutes_.empty(); }

  struct Summary {
    Event event;  // details: count, from (Unix seconds, start of the minute), to (of the last one, if it is another)
    std::string reason;
  };
  // Takes the minutes that are over, or all.
  std::vector<Summary> take(std::chrono::system_clock::time_point now, bool all);

 private:
  using Key = std::pair<std::string, std::string>;  // client, reason
  using Counts = std::map<Key, std::int64_t>;
  struct Minutes {
    std::int64_t last;
    Counts counts;
  };
  static void count(Counts& counts, Key key, std::int64_t more);
  void merge_oldest();

  std::map<std::int64_t, Minutes> minutes_;  // by the first
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
