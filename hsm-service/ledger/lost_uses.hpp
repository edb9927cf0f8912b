#pragma once

#include <deque>

#include "ledger/segment.hpp"

namespace avseal::ledger {

// The uses of keys that leaves would have told of which found no room. Nothing was released, but the signatures were
// made: no number that a worker gave may be missing in the log. Not thread-safe.
class LostUses {
 public:
  void add(std::vector<KeyUse> uses);  // of such a leaf
  [[nodiscard]] bool empty() const { return uses_.empty(); }

  // Adds leaves "keys.late" that tell of them, as far as the batch has room.
  void tell(BatchBuilder& batch, std::int64_t unix_ms);
  void told();  // the last batch that was given to tell() is on disk

 private:
  std::deque<KeyUse> uses_;
  std::size_t in_batch_ = 0;
};

}  // namespace avseal::ledger
