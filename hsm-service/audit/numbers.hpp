#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "tokens/json.hpp"

namespace avseal::audit {

// A signature made long ago has its leaf by now: beyond a request's deadline, the limits of an HSM call, and a group
// commit. Milliseconds.
inline constexpr std::int64_t settling_time = 60'000;
// What was in flight when a connection or a run of the node ended has ended by then, even in an HSM that hangs: the
// longest call_limit_ms of a worker, and some.
inline constexpr std::int64_t in_flight_time = 900'000;

// The numbers from 1 that one counter was seen to give, nearly in order, as runs with gaps between them.
class Numbers {
 public:
  static constexpr std::size_t max_runs = 65536;

  struct Gap {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::int64_t noticed = 0;  // time of the leaf that had a higher number
    std::int64_t since = 0;    // the counter is known to have been below it then
    unsigned crash = 0;        // left by a run of the node that did not end well: which one, from 1

    [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
  };

  enum class Added { fresh, doubled, too_many };
  // 1 <= first <= last.
  Added add(std::uint64_t first, std::uint64_t last, std::int64_t time);
  // The counter was at `last` or above before a leaf of that time; `since`: at the latest time when it was exactly
  // there or below, as far as is known. Never doubled.
  Added told(std::uint64_t last, std::int64_t time, std::int64_t since = 0);

  // The run of the node that counted so far ended without telling all: gaps noticed since `since`, and the one below
  // the next higher number, are its. If the next run is told where the counter is, requests of the one before may still
  // count on for a while.
  void crashed(std::int64_t since);

  [[nodiscard]] std::uint64_t highest() const { return runs_.empty() ? 0 : runs_.rbegin()->second.last; }  // or told
  [[nodiscard]] std::vector<Gap> gaps() const;  // also the one below the first run

  [[nodiscard]] boost::json::object saved() const;
  static Result<Numbers> restored(tokens::ObjectReader reader);

 private:
  struct Run {
    std::uint64_t last;
    std::int64_t noticed;  // of the gap below it
    unsigned crash;
    std::int64_t since = 0;  // of the gap above it
    // Above what was told, where no number has come yet.
    [[nodiscard]] bool empty(std::uint64_t first) const { return last < first; }
  };
  static Result<std::pair<std::uint64_t, Run>> restored_run(const boost::json::value& saved);
  [[nodiscard]] unsigned crash_at(std::int64_t time) const { return time <= crash_settled_ ? after_crash_ : 0; }

  std::map<std::uint64_t, Run> runs_;  // by first number
  unsigned crashes_ = 0;
  unsigned after_crash_ = 0;  // which; 0: numbers have come since
  std::int64_t crash_settled_ = std::numeric_limits<std::int64_t>::max();
};

}  // namespace avseal::audit
