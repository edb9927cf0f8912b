#pragma once

#include "http/message.hpp"
#include "ledger/event.hpp"

namespace avseal::http {

// What the ledger says of a request's act: who asks, in which request, and whom it concerns.
inline ledger::Event event_of(const Request& request, std::string type, std::vector<ledger::Subject> subjects = {},
                              boost::json::object details = {}) {
  return {.type = std::move(type),
          .client = request.client == nullptr ? std::string() : request.client->id,
          .actor_x5t = request.peer ? request.peer->fingerprint().to_x5t() : std::string(),
          .request_id = request.request_id,
          .subjects = std::move(subjects),
          .details = std::move(details),
          .receipt = request.receipt};
}

}  // namespace avseal::http
