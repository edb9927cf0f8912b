#include "service/events.hpp"

#include <spdlog/spdlog.h>

#include "service/log.hpp"

namespace avseal::service {

boost::asio::awaitable<Result<void>> log_event(ledger::Ledger& ledger, ledger::Event event, Room room) {
  auto opening = room == Room::reserve ? ledger.open_last_slot(std::move(event)) : ledger.open_slot(std::move(event));
  auto slot = co_await std::move(opening);
  if (!slot) co_return slot.error();
  auto index = co_await slot->commit(ledger::Outcome::released);
  if (!index) co_return index.error();
  co_return Result<void>{};
}

void warn_of_profile(const enrollment::Rules& rules) {
  const auto& policy = rules.policy;
  if (policy.test) {
    spdlog::warn(
        "event=enrollment-test-profile profile={} detail=\"software TPMs get certificates: never in production\"",
        log_value(policy.name));
  }
  if (policy.mode == attestation::Mode::monitor) {
    spdlog::warn("event=enrollment-monitor-profile profile={} detail=\"policy findings are counted, not refused\"",
                 log_value(policy.name));
  }
}

}  // namespace avseal::service
