#include "service/operator_change.hpp"

namespace avseal::service {

boost::asio::awaitable<Result<void>> logged_change(ledger::Ledger& ledger, ledger::Event event,
                                                   std::function<boost::asio::awaitable<Result<void>>()> change) {
  ledger::Event failure = event;
  auto slot = co_await ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  auto changed = co_await change();
  if (changed) co_return changed;
  auto second = co_await ledger.open_slot(std::move(failure));
  if (second) (void)co_await second->commit(ledger::Outcome::discarded, changed.error().reason);
  co_return changed;
}

}  // namespace avseal::service
