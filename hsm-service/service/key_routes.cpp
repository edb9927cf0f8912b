#include "service/key_routes.hpp"

#include "http/event.hpp"
#include "service/key_requests.hpp"

namespace avseal::service {
namespace {

using http::ClientRole;
using http::Method;

http::Route route(Method method, std::string pattern, std::string event, std::vector<ClientRole> roles) {
  http::Route out;
  out.method = method;
  out.pattern = std::move(pattern);
  out.event = std::move(event);
  out.roles = std::move(roles);
  if (method != Method::get) {
    out.body = http::BodyMode::complete;
    out.content_types = {"application/json"};
  }
  return out;
}

}  // namespace

void KeyRoutes::add_routes(http::Router& router) {
  auto listing =
      route(Method::get, "/operations/v1/keys", "operations.keys", {ClientRole::operator_, ClientRole::auditor});
  listing.handler = [this](http::Request&) { return list(); };
  router.add(std::move(listing));
  auto changing = route(Method::put, "/operations/v1/keys/{name}", "operations.key", {ClientRole::operator_});
  changing.handler = [this](http::Request& request) { return put_key(request); };
  router.add(std::move(changing));
  auto beginning = route(Method::post, "/operations/v1/acts", "operations.acts", {ClientRole::operator_});
  beginning.handler = [this](http::Request& request) { return begin_act(request); };
  router.add(std::move(beginning));
  auto ending = route(Method::put, "/operations/v1/acts/{id}", "operations.act", {ClientRole::operator_});
  ending.handler = [this](http::Request& request) { return end_act(request); };
  router.add(std::move(ending));
}

KeyRoutes::Answer KeyRoutes::list() {
  AVSEAL_CO_TRY(const auto keys, co_await changes_.list(keyring_));
  co_return http::Response::json(200, keys);
}

KeyRoutes::Answer KeyRoutes::put_key(http::Request& request) {
  AVSEAL_CO_TRY(auto change, parse_key_change(request.parameters.at("name"), request.body));
  change.actor = request.client->id;
  auto event = http::event_of(request, "key." + std::string(to_string(change.to)));
  event.details = {{"key", change.name}};
  if (!change.reason.empty()) event.details["force"] = change.reason;
  auto done = co_await changes_.put(std::move(change), std::move(event));
  if (!done) co_return done.error();
  co_return http::Response::empty(204);
}

KeyRoutes::Answer KeyRoutes::begin_act(http::Request& request) {
  AVSEAL_CO_TRY(const auto act, parse_act(request.body));
  auto event = ledger::begun(act);
  auto logged = co_await append(request, std::move(event), ledger::Outcome::released);
  if (!logged) co_return logged.error();
  co_return http::Response::json(201, boost::json::object{{"id", act.id}});
}

KeyRoutes::Answer KeyRoutes::end_act(http::Request& request) {
  AVSEAL_CO_TRY(auto end, parse_act_outcome(request.parameters.at("id"), request.body));
  auto event = ledger::ended(end.act, std::move(end.result));
  const auto outcome = end.done ? ledger::Outcome::released : ledger::Outcome::discarded;
  auto logged = co_await append(request, std::move(event), outcome, end.reason);
  if (!logged) co_return logged.error();
  co_return http::Response::empty(204);
}

boost::asio::awaitable<Result<void>> KeyRoutes::append(const http::Request& request, ledger::Event event,
                                                       ledger::Outcome outcome, std::string_view reason) {
  const auto actor = http::event_of(request, event.type);
  event.client = actor.client;
  event.actor_x5t = actor.actor_x5t;
  event.request_id = actor.request_id;
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto index = co_await slot->commit(outcome, reason);
  if (!index) co_return index.error();
  co_return Result<void>{};
}

}  // namespace avseal::service
