// Receipts (C2SP tlog-proof@v1): that an entry is in the log of a checkpoint.
#pragma once

#include <optional>
#include <span>

#include "tlog/checkpoint.hpp"
#include "tlog/note.hpp"

namespace avseal::tlog {

struct Proof {
  std::optional<Bytes> extra;  // unauthenticated
  std::uint64_t index = 0;
  std::vector<Hash> hashes;  // leaf to root
  Note checkpoint;

  [[nodiscard]] std::string to_string() const;
  static Result<Proof> parse(std::string_view text);  // reason "proof-malformed"

  // That `leaf` is entry `index` of a log whose checkpoint one of `keys` signed; gives the checkpoint.
  [[nodiscard]] Result<Checkpoint> verify(const Hash& leaf, std::span<const VerifierKey> keys) const;
};

}  // namespace avseal::tlog
