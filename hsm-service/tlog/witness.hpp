// What a log sends to a witness (C2SP tlog-witness v1.0.0, add-checkpoint).
#pragma once

#include <span>

#include "tlog/checkpoint.hpp"
#include "tlog/note.hpp"

namespace avseal::tlog {

struct AddCheckpoint {
  std::uint64_t old_size = 0;
  std::vector<Hash> proof;  // of consistency, at most 63 hashes
  Note note;

  [[nodiscard]] std::string to_string() const;
  static Result<AddCheckpoint> parse(std::string_view body);  // reason "request-malformed"
};

// The answer of a witness: its signature lines. Reason "note-malformed".
Result<std::vector<NoteSignature>> parse_cosignatures(std::string_view body);

}  // namespace avseal::tlog
