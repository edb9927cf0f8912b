#pragma once

#include <sys/timex.h>

#include "tokens/result.hpp"

namespace avseal::clock {

// How wrong a synchronised clock may be: half the step that stops signing.
inline constexpr double max_error = 1.0;  // seconds

// Whether the kernel says that something keeps its clock right, as that something told it (STA_UNSYNC, maxerror); why
// not. `state` is what adjtimex() returned.
Result<void> judge_kernel(int state, const timex& told);
Result<void> ask_kernel();

}  // namespace avseal::clock
