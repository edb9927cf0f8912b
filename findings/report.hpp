#pragma once

#include <string>

#include "findings/finding.hpp"
#include "tokens/clock.hpp"

namespace avseal::doctor {

struct Report {
  std::string kind;     // of what was examined: "config"
  std::string subject;  // which one it was: the path of the file
  UnixSeconds time = 0;
  Findings findings;
};

// For people: what is well first, the worst last, where it is read first.
std::string as_text(const Report& report);

// For auditors' programs: one canonical JSON object, findings in the order of the checks.
std::string as_json(const Report& report);

// 0: fine, or only notes; 1: warnings; 2: errors.
int exit_code(const Findings& findings);

}  // namespace avseal::doctor
