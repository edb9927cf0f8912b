#include "ledger/lost_uses.hpp"

#include <algorithm>

namespace avseal::ledger {

namespace {

constexpr std::size_t uses_per_leaf = 32;

}  // namespace

void LostUses::add(std::vector<KeyUse> uses) {
  for (auto& use : uses) {
    use.outcome = "discarded";
    uses_.push_back(std::move(use));
  }
}

void LostUses::tell(BatchBuilder& batch, std::int64_t unix_ms) {
  in_batch_ = 0;
  while (in_batch_ < uses_.size() && batch.has_room(max_leaf_size)) {
    const auto count = std::min(uses_.size() - in_batch_, uses_per_leaf);
    const auto first = uses_.begin() + static_cast<std::ptrdiff_t>(in_batch_);
    std::vector<KeyUse> uses(first, first + static_cast<std::ptrdiff_t>(count));
    Event event;
    event.type = "keys.late";
    batch.add(EventText(event, {}, {}).finish(std::move(uses), 0, Outcome::discarded, "ledger-full"), unix_ms);
    in_batch_ += count;
  }
}

void LostUses::told() {
  uses_.erase(uses_.begin(), uses_.begin() + static_cast<std::ptrdiff_t>(in_batch_));
  in_batch_ = 0;
}

}  // namespace avseal::ledger
