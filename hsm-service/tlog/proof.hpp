// Receipts (C2SP tlog-proof@v1): that an entry is in the log of a checkpoint.
#pragma once

#include <optional>

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

  // That `leaf` is entry `index` of the log that `head` is of: what `checkpoint` says, once its signatures were found
  // good. Reason "inclusion-wrong".
  [[nodiscard]] Result<void> verify(const Hash& leaf, const Checkpoint& head) const {
    return verify_inclusion(index, head.size, leaf, head.root, hashes);
  }
};

}  // namespace avseal::tlog
