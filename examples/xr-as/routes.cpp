#include "examples/xr-as/routes.hpp"

namespace avseal::xr_as {

namespace {

boost::asio::awaitable<Result<http::Response>> post_session(std::shared_ptr<const SessionsConfig> config,
                                                            http::Request& request) {
  AVSEAL_CO_TRY(CallRequest call, parse_call_request(request.body));
  const Verdict verdict =
      co_await run_call(config->call, std::move(call), request.peer, config->certificate_required, config->sink);
  const unsigned status = verdict.refusal ? http::status_of(verdict.refusal->category) : 200;
  const boost::json::value body = to_json(verdict);
  co_return http::Response::json(status, body);
}

}  // namespace

void add_routes(http::Router& router, std::shared_ptr<const SessionsConfig> config) {
  http::Route route;
  route.method = http::Method::post;
  route.pattern = "/sessions";
  route.body = http::BodyMode::complete;
  route.content_types = {"application/json"};
  route.event = "xr.session";
  route.handler = [config](http::Request& request) { return post_session(config, request); };
  router.add(std::move(route));
}

}  // namespace avseal::xr_as
