#pragma once

#include <functional>

#include "http/message.hpp"
#include "service/own_leaves.hpp"

namespace avseal::service {

using Change = std::function<boost::asio::awaitable<Result<void>>()>;

// What an operator changes in a running node: `change` happens after the leaf that says who wanted it is on disk, so
// that nothing takes effect unlogged. If it then fails, a second leaf of the type says so, with the reason.
boost::asio::awaitable<Result<void>> logged_change(ledger::Ledger& ledger, OwnLeaves& leaves, ledger::Event event,
                                                   const Change& change);

}  // namespace avseal::service
