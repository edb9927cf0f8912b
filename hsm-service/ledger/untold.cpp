#include "ledger/untold.hpp"

#include <algorithm>

namespace avseal::ledger {

namespace {

constexpr std::size_t uses_per_leaf = 32;

template <class T>
void drop_first(std::deque<T>& from, std::size_t count) {
  from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

void Untold::add(std::vector<KeyUse> uses) {
  for (auto& use : uses) {
    use.outcome = "discarded";
    uses_.push_back(std::move(use));
  }
}

void Untold::add(LeafDraft summary) {
  summaries_.push_back(std::move(summary));
}

bool Untold::tell(BatchBuilder& batch, std::int64_t unix_ms) {
  uses_in_batch_ = summaries_in_batch_ = 0;
  const auto room = [&batch] { return batch.has_room(max_leaf_size); };
  while (uses_in_batch_ < uses_.size() && room()) {
    const auto count = std::min(uses_.size() - uses_in_batch_, uses_per_leaf);
    const auto first = uses_.begin() + static_cast<std::ptrdiff_t>(uses_in_batch_);
    std::vector<KeyUse> uses(first, first + static_cast<std::ptrdiff_t>(count));
    Event event;
    event.type = "keys.late";
    batch.add(EventText(event, {}, {}).finish(std::move(uses), 0, Outcome::discarded, "ledger-full"), unix_ms);
    uses_in_batch_ += count;
  }
  while (summaries_in_batch_ < summaries_.size() && room()) batch.add(summaries_[summaries_in_batch_++], unix_ms);
  return uses_in_batch_ == uses_.size() && summaries_in_batch_ == summaries_.size();
}

void Untold::told() {
  drop_first(uses_, std::exchange(uses_in_batch_, 0));
  drop_first(summaries_, std::exchange(summaries_in_batch_, 0));
}

}  // namespace avseal::ledger
