#pragma once

#include <filesystem>

#include "tokens/result.hpp"

namespace avseal::clock {

// What `chronyc -n -c tracking` prints, as far as it says how right the clock is.
struct Tracking {
  unsigned stratum = 0;          // 0: no source
  double offset = 0;             // seconds that the system clock is from NTP time
  double root_delay = 0;         // seconds
  double root_dispersion = 0;    // seconds; grows while no source answers
  std::string leap_status = {};  // "Normal", "Insert second", "Delete second", "Not synchronised"
};

// One line of 14 fields. "chrony-answer-malformed".
Result<Tracking> parse_tracking(std::string_view text);
// Synchronised, or why not.
Result<void> judge_chrony(const Tracking& tracking);

// Runs chronyc for at most 2 s; blocks. Errors say why chrony is not known to be synchronised.
Result<void> ask_chrony(const std::filesystem::path& chronyc);

}  // namespace avseal::clock
