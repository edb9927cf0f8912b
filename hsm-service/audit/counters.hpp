// The numbers that HSM workers gave to their signatures, reconciled over the leaves of a log.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "audit/numbers.hpp"
#include "audit/verdict.hpp"

namespace avseal::audit {

// Uses for checkpoints are told once an hour.
inline constexpr std::int64_t checkpoint_settling_time = 2 * 3'600'000;

// What one worker's counter of one key gave.
struct Counter {
  std::string worker;
  std::string key;
  Numbers numbers;
  bool begun_before = false;  // its first numbers may lie before what is read
};

// What one connection to a worker may have in flight: the largest keyring.window.
inline constexpr std::uint64_t max_in_flight = 4096;

// Signatures of one key, in all workers together.
struct KeyTotal {
  std::uint64_t signatures = 0;  // up to the highest number that each told
  std::uint64_t in_flight = 0;   // at most so many more: requests of connections that were lost
};

class Counters {
 public:
  // Stable for the life of *this. `begins_midway`: leaves before those that are read are not at hand.
  Counter& of(std::string_view worker, std::string_view key, bool begins_midway);
  void add(Counter& counter, std::uint64_t first, std::uint64_t last, std::uint64_t leaf, std::int64_t time,
           Verdict& verdict);
  // A leaf says how far the counter was. `since`: when it was no further; 0: nobody knows.
  void told(Counter& counter, std::uint64_t last, std::int64_t since, std::uint64_t leaf, std::int64_t time,
            Verdict& verdict);
  // Keys of that name sign checkpoints.
  void signs_checkpoints(std::string_view key) { checkpoint_keys_.emplace(key); }

  // A connection to the worker ended: so many signatures may have been made and not told. `id`: of this loss, which
  // counts once; empty: it has none.
  void lost(std::string_view worker, std::uint64_t in_flight, std::string_view id, std::int64_t time);
  // The node's run ended without ledger.stop, after a leaf of that time.
  void crashed(std::int64_t time);
  void began_again() { after_crash_ = false; }  // behind ledger.stop

  struct End {
    std::int64_t begin = 0;      // time of the first leaf that was read
    std::int64_t time = 0;       // of the last one
    bool stopped = false;        // that is ledger.stop
    std::uint64_t unlogged = 0;  // signatures of a worker that may wait for their leaf at one time
  };
  void judge(const End& end, Verdict& verdict) const;
  [[nodiscard]] std::map<std::string, KeyTotal> totals() const;  // by key

  [[nodiscard]] boost::json::object saved() const;
  static Result<Counters> restored(tokens::ObjectReader reader);

 private:
  struct Loss {
    std::int64_t time;
    std::uint64_t in_flight;
  };
  void judge(const Counter& counter, const End& end, std::vector<Loss>& losses, Verdict& verdict) const;
  Result<void> restore_counters(std::string_view worker, const boost::json::value& saved);
  Result<void> restore_losses(std::string_view worker, const boost::json::value& saved);
  [[nodiscard]] std::int64_t settling_time_of(const Counter& counter) const;

  std::unordered_map<std::string, Counter> counters_;          // by worker LF key
  std::unordered_map<std::string, std::vector<Loss>> losses_;  // by worker, in order of time
  std::set<std::string, std::less<>> loss_ids_;
  std::set<std::string, std::less<>> checkpoint_keys_;
  bool after_crash_ = false;
};

}  // namespace avseal::audit
