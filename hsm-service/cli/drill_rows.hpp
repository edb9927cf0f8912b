// The failure table that `avseal drill` walks through, and what came of it.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_load.hpp"

namespace avseal::cli {

struct DrillRow {
  // Passing: over by itself or after a second. Lasting: goes only when the token signs again. Fresh: as that, and the
  // worker crashes, so that a fresh one meets it.
  enum class Kind { passing, lasting, fresh };

  std::string_view name;   // of --row
  std::string_view fault;  // for the reader
  std::string_view rules;  // of the fault module, a line each, without name and token
  Kind kind = Kind::passing;
};

std::span<const DrillRow> drill_rows();
// One by one, with that of the crash.
std::vector<std::string> rules_of(const DrillRow& row);

struct DrillOutcome {
  const DrillRow* row = nullptr;
  LoadResult load;
  std::uint64_t answered = 0;             // with 200
  std::uint64_t failed = 0;               // everything else that was sent
  std::uint64_t discarded = 0;            // attempts, as the service counts them
  bool struck = false;                    // the fault did happen
  bool recovered = false;                 // the token signs again
  std::chrono::milliseconds recovery{0};  // from the fault's end
  bool passed = false;
  std::string why_not;
};

// Fills in the counts and the verdict: with replicas no request may fail, with a single token only by a 503.
void judge(DrillOutcome& outcome, bool replicas);

}  // namespace avseal::cli
