// Checkpoints (C2SP tlog-checkpoint v1.0.0): the text of a note about a log's head.
#pragma once

#include <string>

#include "tlog/merkle.hpp"

namespace avseal::tlog {

struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Hash root{};

  [[nodiscard]] std::string text() const;
  // The text of a note. Extension lines are refused: no monitor can audit them. Reason "checkpoint-malformed".
  static Result<Checkpoint> parse(std::string_view text);
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

std::string hash_text(const Hash& hash);                  // base64
Result<Hash> parse_hash(std::string_view text);           // strict; reason "checkpoint-malformed"
Result<std::uint64_t> parse_size(std::string_view text);  // decimal without leading zeros, below 2^63; likewise

}  // namespace avseal::tlog
