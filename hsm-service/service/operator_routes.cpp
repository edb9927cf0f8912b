#include "service/operator_routes.hpp"

#include <fmt/format.h>

#include "http/event.hpp"
#include "service/operator_change.hpp"
#include "service/token_states.hpp"
#include "tokens/json.hpp"

namespace avseal::service {
namespace {

namespace asio = boost::asio;
using http::Method;

constexpr std::int64_t acceptance_tolerance = 5;  // seconds between the operator's clock and ours

Result<bool> parse_drained(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto state, root.string("state"));
  AVSEAL_CHECK(root.finish());
  if (state != drained_state && state != active_state) {
    return errors::make(Category::invalid, "token-state-invalid", "expected \"drained\" or \"active\"",
                        root.pointer_to("state"));
  }
  return state == drained_state;
}

Result<UnixSeconds> parse_time(std::string_view body) {
  AVSEAL_TRY(const auto document, tokens::parse_json(body));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(document));
  AVSEAL_TRY(const auto time, root.integer("time"));
  AVSEAL_CHECK(root.finish());
  return time;
}

}  // namespace

void OperatorRoutes::add_routes(http::Router& router) {
  add(router, Method::get, "/operations/v1/tokens", "operations.tokens", &OperatorRoutes::get_tokens);
  add(router, Method::put, "/operations/v1/tokens/{name}", "operations.token", &OperatorRoutes::put_token);
  add(router, Method::get, "/operations/v1/clock", "operations.clock", &OperatorRoutes::get_clock);
  add(router, Method::post, "/operations/v1/clock/acceptance", "operations.clock-acceptance",
      &OperatorRoutes::accept_clock);
}

void OperatorRoutes::add(http::Router& router, Method method, std::string pattern, std::string event, Handle handle) {
  http::Route route;
  route.method = method;
  route.pattern = std::move(pattern);
  route.roles = {http::ClientRole::operator_};
  if (method != Method::get) {
    route.body = http::BodyMode::complete;
    route.content_types = {"application/json"};
  }
  route.event = std::move(event);
  route.handler = [this, handle](http::Request& request) { return (this->*handle)(request); };
  router.add(std::move(route));
}

OperatorRoutes::Answer OperatorRoutes::get_tokens(http::Request&) {
  boost::json::array list;
  const auto tokens = co_await token_states(shared_);
  for (const auto& token : tokens) list.push_back(describe(token));
  co_return http::Response::json(200, boost::json::object{{"tokens", std::move(list)}});
}

OperatorRoutes::Answer OperatorRoutes::put_token(http::Request& request) {
  AVSEAL_CO_TRY(const bool drained, parse_drained(request.body));
  const std::string name = request.parameters.at("name");
  auto event =
      event_of(request, "token.state", {}, {{"state", drained ? drained_state : active_state}, {"token", name}});
  const Change change = [&] { return set_drained(shared_, states_, name, drained); };
  auto changed = co_await logged_change(*shared_.ledger, *shared_.leaves, std::move(event), change);
  if (!changed) co_return changed.error();
  co_return http::Response::empty(204);
}

OperatorRoutes::Answer OperatorRoutes::get_clock(http::Request&) {
  const auto& guard = *shared_.clock_guard;
  const auto trusted = guard.check();
  boost::json::object body{{"source", clock::to_string(guard.source())},
                           {"trusted", trusted.has_value()},
                           {"step_ms", guard.step().count()},
                           {"time", to_unix(shared_.clock())}};
  if (!trusted) body["why"] = trusted.error().detail;
  co_return http::Response::json(200, body);
}

// The operator says what time it is; so a wrong clock is not accepted unseen.
OperatorRoutes::Answer OperatorRoutes::accept_clock(http::Request& request) {
  AVSEAL_CO_TRY(const auto theirs, parse_time(request.body));
  const auto ours = to_unix(shared_.clock());
  if (theirs < ours - acceptance_tolerance || theirs > ours + acceptance_tolerance) {
    co_return errors::make(
        Category::conflict, "clock-differs",
        fmt::format("this node's time is {}, the operator's is {}; set the clock that is wrong", ours, theirs));
  }
  auto event = event_of(request, "clock.accepted", {}, {{"step_ms", shared_.clock_guard->step().count()}});
  const Change accept = [this]() -> asio::awaitable<Result<void>> {
    shared_.clock_guard->accept();
    co_return Result<void>{};
  };
  auto accepted = co_await logged_change(*shared_.ledger, *shared_.leaves, std::move(event), accept);
  if (!accepted) co_return accepted.error();
  co_return http::Response::empty(204);
}

}  // namespace avseal::service
