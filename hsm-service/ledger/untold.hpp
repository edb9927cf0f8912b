#pragma once

#include <deque>

#include "ledger/segment.hpp"

namespace avseal::ledger {

// What the log has still to tell of its own accord, before any other leaf: the uses of keys that leaves would have told
// of which found no room (nothing was released, but the signatures were made: no number that a worker gave may be
// missing in the log), and summaries of refusals. It stays here until it is on disk. Not thread-safe.
class Untold {
 public:
  void add(std::vector<KeyUse> uses);  // of a leaf that found no room
  void add(LeafDraft summary);
  [[nodiscard]] bool empty() const { return uses_.empty() && summaries_.empty(); }

  // Adds leaves as far as the batch has room, those of uses as "keys.late". Whether that is all of it.
  bool tell(BatchBuilder& batch, std::int64_t unix_ms);
  void told();  // the last batch that was given to tell() is on disk

 private:
  std::deque<KeyUse> uses_;
  std::deque<LeafDraft> summaries_;
  std::size_t uses_in_batch_ = 0;
  std::size_t summaries_in_batch_ = 0;
};

}  // namespace avseal::ledger
