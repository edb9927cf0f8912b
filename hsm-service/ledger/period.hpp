// Logs by period: each UTC year has a log of its own, with an origin of its own.
#pragma once

#include <filesystem>
#include <string>

#include "tokens/clock.hpp"
#include "tokens/result.hpp"

namespace avseal::ledger {

int year_of(std::chrono::system_clock::time_point time);         // UTC
std::string log_origin(std::string_view node_origin, int year);  // "<operator>/<node>/<year>"

// The origin of the log in a directory, or of the year's if it has none yet. Error "ledger-origin": it is of another
// node.
Result<std::string> current_origin(const std::filesystem::path& directory, std::string_view node_origin,
                                   std::chrono::system_clock::time_point now);

}  // namespace avseal::ledger
