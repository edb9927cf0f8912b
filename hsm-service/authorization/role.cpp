#include "authorization/role.hpp"

#include <prometheus/family.h>

namespace avseal::authorization {
namespace {

constexpr std::string_view form_type = "application/x-www-form-urlencoded";

}  // namespace

Role::Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics)
    : config_(config),
      granter_(config_, std::move(dependencies)),
      granted_(prometheus::BuildCounter()
                   .Name("avseal_access_tokens_granted_total")
                   .Help("Access tokens granted, repetitions of a request included")
                   .Register(metrics)
                   .Add({})) {}

void Role::add_routes(http::Router& router) {
  http::Route nrf;
  nrf.method = http::Method::post;
  nrf.pattern = "/oauth2/token";
  nrf.roles = {http::ClientRole::xr_as};
  nrf.body = http::BodyMode::complete;
  nrf.content_types = {std::string(form_type)};
  nrf.error_form = nrf_error;
  nrf.timed = true;
  nrf.event = "oauth2.token";
  nrf.handler = [this](http::Request& request) -> boost::asio::awaitable<Result<http::Response>> {
    AVSEAL_CO_TRY(auto parsed, parse_nrf_request(request, config_));
    co_return co_await answer(std::move(parsed), request, false);
  };
  router.add(std::move(nrf));

  http::Route capif;
  capif.method = http::Method::post;
  capif.pattern = "/capif-security/v1/securities/{securityId}/token";
  capif.roles = {http::ClientRole::xr_as};
  capif.body = http::BodyMode::complete;
  capif.content_types = {std::string(form_type)};
  capif.error_form = capif_error;
  capif.timed = true;
  capif.event = "capif.token";
  capif.handler = [this](http::Request& request) -> boost::asio::awaitable<Result<http::Response>> {
    AVSEAL_CO_TRY(auto parsed, parse_capif_request(request, config_));
    co_return co_await answer(std::move(parsed), request, true);
  };
  router.add(std::move(capif));
}

boost::asio::awaitable<Result<http::Response>> Role::answer(TokenRequest request, const http::Request& http,
                                                            bool with_scope) {
  auto granted = co_await granter_.grant(std::move(request), http);
  if (!granted) co_return granted.error();
  granted_.Increment();
  boost::json::object body{
      {"access_token", granted->access_token}, {"token_type", "Bearer"}, {"expires_in", granted->expires_in}};
  if (with_scope) body["scope"] = granted->scope;
  auto response = http::Response::json(200, body);
  response.headers.emplace_back("cache-control", "no-store");
  response.headers.emplace_back("pragma", "no-cache");
  co_return response;
}

}  // namespace avseal::authorization
