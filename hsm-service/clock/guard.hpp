#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::clock {

// Who says that this machine's time is right. trusted: nobody; only steps are seen.
enum class Source { trusted, kernel, chrony };
std::string_view to_string(Source source);
Result<Source> parse_source(std::string_view text);

// CLOCK_REALTIME and CLOCK_BOOTTIME at one moment. Slewing moves both alike; only a step moves one against the other.
struct Reading {
  std::chrono::nanoseconds realtime{0};
  std::chrono::nanoseconds boottime{0};
};
using ReadClocks = std::function<Reading()>;
Reading read_clocks();

// Stands between the time of day and whoever states or judges one: `iat` and `exp` are security properties. Trusts the
// time at which it was made; from then on all steps together may be 2 s. Trust comes back when the clock is stepped
// back, when an operator accepts the time, or when the source has said "synchronised" for 10 s after the step.
class Guard {
 public:
  static constexpr std::chrono::seconds step_limit{2};
  static constexpr std::chrono::seconds settling{10};
  static constexpr std::chrono::seconds source_patience{30};  // without a word from the source

  explicit Guard(Source source, ReadClocks read = read_clocks);

  // Cheap, from any thread. "clock-stepped", "clock-unsynchronised" (unavailable).
  [[nodiscard]] Result<void> check() const;
  [[nodiscard]] std::chrono::milliseconds step() const;  // how far the time of day is from the trusted one
  // The time of day as if it had not been stepped, for what goes on while nobody may rely on it: a log's order.
  [[nodiscard]] std::chrono::system_clock::time_point unstepped() const;
  [[nodiscard]] Source source() const { return source_; }

  // An operator's word that the present time is right; from any thread.
  void accept();

  // One thread from here on. What the source says: synchronised, or why not.
  void heard(Result<void> synchronised);
  struct Change {
    enum class Kind { stepped, restored, unsynchronised, synchronised } kind;
    std::chrono::milliseconds step{0};
    std::string detail;
  };
  // Looks at the clocks; gives what changed since the last time, each once.
  std::vector<Change> poll();

 private:
  [[nodiscard]] std::chrono::nanoseconds offset() const;
  void poll_step(const Reading& now, std::vector<Change>& changes);
  void poll_source(const Reading& now, std::vector<Change>& changes);

  const Source source_;
  const ReadClocks read_;
  std::atomic<std::chrono::nanoseconds> reference_;                                 // trusted realtime - boottime
  mutable std::atomic<std::chrono::nanoseconds> noticed_{std::chrono::seconds{0}};  // a step that check() saw
  std::atomic<bool> accepted_{false};
  std::atomic<bool> synchronised_;
  mutable std::mutex mutex_;
  std::string why_;  // not synchronised

  bool stepped_ = false;
  Result<void> said_;
  std::optional<std::chrono::nanoseconds> heard_at_;  // boottime
  std::optional<std::chrono::nanoseconds> synchronised_since_;
};

std::string_view to_string(Guard::Change::Kind kind);  // "clock.stepped", ...: names of events

}  // namespace avseal::clock
