// Closing a log whose year is over: its files go to closed/<year>/, where they stay as they are.
#pragma once

#include "ledger/checkpointer.hpp"

namespace avseal::ledger {

// Moves a log whose last checkpoint covers all its leaves. May be interrupted anywhere, and called again.
Result<void> close_log(const std::filesystem::path& directory, std::string_view log_origin,
                       const std::shared_ptr<FileOps>& files);

// Takes the right to write from all of a closed log that nobody needs to write any more, the directory itself last.
// May be interrupted, and called again. A log is closed without it: what went wrong is only said.
void freeze_log(const std::filesystem::path& directory, std::string_view log_origin, FileOps& files);

// Adds signatures of witnesses to the last checkpoint of a closed log. Errors "ledger-head": another one stands there;
// "ledger-full", "ledger-unavailable".
Result<Published> cosign_closed_log(const std::filesystem::path& directory, const Published& last,
                                    std::span<const tlog::NoteSignature> cosignatures,
                                    const std::shared_ptr<FileOps>& files);

// Finishes what was interrupted, before anything else is read in the directory.
Result<void> finish_closing(const std::filesystem::path& directory, std::string_view node_origin,
                            const std::shared_ptr<FileOps>& files);

// The year of the last log that was closed.
std::optional<int> last_closed_year(const std::filesystem::path& directory);

// The last checkpoint of the log that was closed last; empty: there is none. With heads (nullptr: without), it is
// compared with what is remembered of the years before `year`. Error "ledger-head".
Result<std::optional<Published>> previous_log(const std::filesystem::path& directory, std::string_view node_origin,
                                              int year, HeadStore* heads);

}  // namespace avseal::ledger
