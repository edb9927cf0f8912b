#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tokens/result.hpp"

namespace avseal::clock {

// Runs the program at the absolute path arguments[0] with nothing of this process but its environment, and gives what
// it printed, at most max_output bytes. Blocks; kills it when `limit` is over or it prints more. Its exit code must be
// 0. "program-failed".
Result<std::string> run_program(std::vector<std::string> arguments, std::chrono::milliseconds limit,
                                std::size_t max_output);

}  // namespace avseal::clock
