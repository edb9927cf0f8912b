#include "ledger/slot.hpp"

#include "ledger/errors.hpp"
#include "ledger/ledger.hpp"
#include "ledger/pending.hpp"

namespace avseal::ledger {

Slot Ledger::make_slot(std::unique_ptr<Pending> pending) {
  return Slot(std::move(pending));
}

Slot::Slot(std::unique_ptr<Pending> pending) noexcept : pending_(std::move(pending)) {}

Slot::Slot(Slot&& other) noexcept = default;

Slot& Slot::operator=(Slot&& other) noexcept {
  std::swap(pending_, other.pending_);
  return *this;
}

Slot::~Slot() {
  if (pending_) pending_->append(Outcome::discarded, "abandoned", {});
}

void Slot::used(KeyUse use) {
  if (!pending_) return;
  if (pending_->uses.size() < max_key_uses) {
    pending_->uses.push_back(std::move(use));
  } else {
    ++pending_->omitted;
  }
}

boost::asio::awaitable<Result<Position>> Slot::commit(Outcome outcome, std::string_view reason) {
  if (!pending_) co_return errors::stopped("the slot was committed before");
  const auto receipt = pending_->receipt;
  auto start = [pending = std::move(pending_), outcome, text = std::string(reason)](Completion<Appended> done) {
    pending->append(outcome, text, std::move(done));
  };
  auto appended = co_await suspend<Appended>(std::move(start));
  if (appended && receipt) *receipt = *appended;
  co_return appended;
}

}  // namespace avseal::ledger
