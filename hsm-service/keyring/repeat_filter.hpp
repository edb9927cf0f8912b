// Lets a line through once, and its repetitions at most every 30 s.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <string>
#include <string_view>

namespace avseal::keyring {

class RepeatFilter {
 public:
  using Clock = std::chrono::steady_clock;

  // A time of day at its begin does not make a line another one.
  bool admits(std::string_view line, Clock::time_point now) {
    const auto space = line.find(' ');
    if (space != std::string_view::npos && line[0] >= '0' && line[0] <= '9' && line[space - 1] == 'Z') {
      line.remove_prefix(space + 1);
    }
    const auto known =
        std::find_if(seen_.begin(), seen_.end(), [&](const Seen& candidate) { return candidate.line == line; });
    if (known == seen_.end()) {
      if (seen_.size() == remembered) seen_.pop_front();
      seen_.push_back({std::string(line), now});
      return true;
    }
    if (now - known->when < interval) return false;
    known->when = now;
    return true;
  }

 private:
  static constexpr std::size_t remembered = 16;
  static constexpr std::chrono::seconds interval{30};

  struct Seen {
    std::string line;
    Clock::time_point when;
  };
  std::deque<Seen> seen_;
};

}  // namespace avseal::keyring
