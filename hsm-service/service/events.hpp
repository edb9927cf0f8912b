#pragma once

#include "enrollment/rule_book.hpp"
#include "ledger/ledger.hpp"

namespace avseal::service {

enum class Room { free, reserve };  // reserve: also what a full log keeps for what must be told

// The leaf of what is about to happen, on disk when this resumes.
boost::asio::awaitable<Result<void>> log_event(ledger::Ledger& ledger, ledger::Event event, Room room = Room::free);

// Says in the log if the policy profile admits software TPMs or only watches.
void warn_of_profile(const enrollment::Rules& rules);

}  // namespace avseal::service
