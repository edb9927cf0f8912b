// What a verification knows of a log's numbers and keys at a checkpoint, for the next one to go on from: a file beside
// the checkpoint that an auditor keeps.
#pragma once

#include "audit/history.hpp"
#include "tlog/checkpoint.hpp"

namespace avseal::audit {

struct SavedHistory {
  static constexpr std::size_t max_size = 32 * 1024 * 1024;  // of its text

  tlog::Checkpoint checkpoint;
  HistoryState state;

  // Canonical JSON and a line feed. Reason "numbers-too-large".
  [[nodiscard]] Result<std::string> text() const;
  // To the byte what text() makes. Reason "numbers-malformed".
  static Result<SavedHistory> parse(std::string_view text);
};

}  // namespace avseal::audit
