#pragma once

#include "enrollment/rule_book.hpp"
#include "ledger/ledger.hpp"

namespace avseal::service {

// The leaf of what is about to happen, on disk when this resumes. Reasons have static storage.
boost::asio::awaitable<Result<void>> log_event(ledger::Ledger& ledger, ledger::Event event,
                                               ledger::Outcome outcome = ledger::Outcome::released,
                                               std::string_view reason = {});

// Says in the log if the policy profile admits software TPMs or only watches.
void warn_of_profile(const enrollment::Rules& rules);

}  // namespace avseal::service
