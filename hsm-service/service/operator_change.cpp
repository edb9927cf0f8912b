#include "service/operator_change.hpp"

#include "service/events.hpp"

namespace avseal::service {

boost::asio::awaitable<Result<void>> logged_change(ledger::Ledger& ledger, OwnLeaves& leaves, ledger::Event event,
                                                   const Change& change) {
  ledger::Event failure = event;
  auto logged = co_await log_event(ledger, std::move(event));
  if (!logged) co_return logged;
  auto changed = co_await change();
  if (changed) co_return changed;
  leaves.tell(std::move(failure), ledger::Outcome::discarded, changed.error().reason);
  co_return changed;
}

}  // namespace avseal::service
