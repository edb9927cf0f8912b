// Logs by period: each UTC year has a log of its own, with an origin of its own.
#pragma once

#include <filesystem>
#include <string>

#include "tokens/clock.hpp"
#include "tokens/result.hpp"

namespace avseal::ledger {

// A clock may have been anywhere.
inline constexpr int first_year = 1970;
inline constexpr int last_year = 2199;

int year_of(std::chrono::system_clock::time_point time);         // UTC
std::string log_origin(std::string_view node_origin, int year);  // "<operator>/<node>/<year>"
int year_of_log(std::string_view log_origin);
std::chrono::system_clock::time_point end_of_year(int year);

// Where the log is once its year is over: "closed/<year>" below the node's directory.
std::filesystem::path closed_directory(const std::filesystem::path& directory, int year);

// The origin of the log in a directory; if it has none, of the year's, or of the year after the last one that was
// closed. Error "ledger-origin": it is of another node.
Result<std::string> current_origin(const std::filesystem::path& directory, std::string_view node_origin,
                                   std::chrono::system_clock::time_point now);

}  // namespace avseal::ledger
