#pragma once

#include <functional>

#include <boost/json.hpp>

#include "service/shared.hpp"
#include "store/interfaces.hpp"

namespace avseal::service {

inline constexpr std::string_view drained_state = "drained";
inline constexpr std::string_view active_state = "active";

using NodeAct = std::function<Result<void>(Node&)>;

// Runs `act` on each io thread, one after the other; stops at the first error.
boost::asio::awaitable<Result<void>> on_each_node(Shared& shared, const NodeAct& act);

// Every token as all io threads together see it: connected if it is for each thread, in flight in sum.
boost::asio::awaitable<std::vector<keyring::TokenStatus>> token_states(Shared& shared);
boost::json::object describe(const keyring::TokenStatus& token);

// Drains or resumes a token on every io thread or on none, and remembers it for the next start. Errors: those of
// Keyring::set_drained and of the store.
boost::asio::awaitable<Result<void>> set_drained(Shared& shared, store::OperatorStates& states, std::string token,
                                                 bool drained);
// What was remembered, at start. A token that may not be drained any more is logged and used.
boost::asio::awaitable<Result<void>> drain_again(Shared& shared, store::OperatorStates& states);

}  // namespace avseal::service
