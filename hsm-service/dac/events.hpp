#pragma once

#include "http/message.hpp"
#include "ledger/event.hpp"

namespace avseal::dac {

// A ledger event of a request about an avatar of `owner`.
inline ledger::Event event_of(std::string type, const http::Request& request, const tokens::Impu& owner,
                              boost::json::object details) {
  ledger::Event event;
  event.type = std::move(type);
  if (request.client != nullptr) event.client = request.client->id;
  if (request.peer) event.actor_x5t = request.peer->fingerprint().to_x5t();
  event.request_id = request.request_id;
  event.subjects.push_back({"owner", owner.canonical()});
  event.details = std::move(details);
  return event;
}

}  // namespace avseal::dac
