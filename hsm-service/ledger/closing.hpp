// Closing a log whose year is over: its files go to closed/<year>/, where they stay as they are.
#pragma once

#include "ledger/checkpointer.hpp"

namespace avseal::ledger {

// Moves a log whose last checkpoint covers all its leaves. May be interrupted anywhere, and called again.
Result<void> close_log(const std::filesystem::path& directory, std::string_view log_origin, FileOps& files);

// Finishes what was interrupted, before anything else is read in the directory.
Result<void> finish_closing(const std::filesystem::path& directory, std::string_view node_origin, FileOps& files);

// The year of the last log that was closed.
std::optional<int> last_closed_year(const std::filesystem::path& directory);

// The last checkpoint of the log that was closed last; empty: there is none. With heads (nullptr: without), it is
// compared with what is remembered of the years before `year`. Error "ledger-head".
Result<std::optional<Published>> previous_log(const std::filesystem::path& directory, std::string_view node_origin,
                                              int year, HeadStore* heads);

}  // namespace avseal::ledger
