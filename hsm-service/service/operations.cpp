#include "service/operations.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include "service/token_states.hpp"

namespace avseal::service {
namespace {

constexpr std::string_view pem_suffix = ".pem";

http::Route get(std::string pattern, std::string event, std::vector<http::ClientRole> roles, http::Handler handler) {
  http::Route route;
  route.method = http::Method::get;
  route.pattern = std::move(pattern);
  route.event = std::move(event);
  route.roles = std::move(roles);
  route.handler = std::move(handler);
  return route;
}

Result<bool> is_deep(const http::Request& request) {
  const auto deep = request.query.find("deep");
  if (deep == request.query.end() || deep->second == "false") return false;
  if (deep->second == "true") return true;
  return errors::make(Category::bad_request, "query-invalid", "expected deep=true or deep=false", "query deep");
}

// Served under /certs/.
bool is_public(const keyring::SigningKey& key) {
  return !key.chain.empty() && key.kind != keyring::KeyKind::ue_ca;
}

http::Response chain_response(const std::vector<tokens::Certificate>& chain) {
  std::string pem;
  for (const auto& certificate : chain) pem += certificate.pem();
  auto response = http::Response::text(200, "application/pem-certificate-chain", std::move(pem));
  response.headers.emplace_back("cache-control", "public, max-age=3600, immutable");
  return response;
}

}  // namespace

void Operations::add_routes(http::Router& router) {
  const std::vector<http::ClientRole> watchers{http::ClientRole::operator_, http::ClientRole::auditor};
  router.add(get("/livez", "ops.livez", {},
                 [](http::Request&) -> Answer { co_return http::Response::text(200, "text/plain", "live\n"); }));
  router.add(get("/readyz", "ops.readyz", watchers, [this](http::Request& request) { return ready(request); }));
  router.add(get("/metrics", "ops.metrics", watchers, [this](http::Request&) -> Answer {
    const auto families = shared_.metrics->Collect();
    auto text = prometheus::TextSerializer{}.Serialize(families);
    co_return http::Response::text(200, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
  }));
  router.add(get("/certs/{file}", "ops.certs", {},
                 [this](http::Request& request) -> Answer { co_return certificate(request.parameters.at("file")); }));
  router.add(get("/.well-known/jwks.json", "ops.jwks", {}, [this](http::Request&) -> Answer { co_return jwks(); }));
}

http::Response Operations::jwks() const {
  boost::json::array jwks;
  for (const auto& key : keyring_.keys().all()) {
    if (key.kind == keyring::KeyKind::ue_ca || key.kind == keyring::KeyKind::dac_kek) continue;
    auto jwk = key.public_key.jwk();
    jwk["kid"] = key.public_key.thumbprint();
    jwk["use"] = "sig";
    jwk["alg"] = tokens::to_string(key.public_key.algorithm());
    if (is_public(key)) jwk["x5t#S256"] = key.chain.front().fingerprint().to_x5t();
    jwks.push_back(std::move(jwk));
  }
  auto response = http::Response::json(200, boost::json::object{{"keys", std::move(jwks)}});
  response.headers.emplace_back("cache-control", "public, max-age=300");
  return response;
}

Operations::Answer Operations::ready(const http::Request& request) const {
  AVSEAL_CO_TRY(const bool deep, is_deep(request));
  auto keys = keyring_.status();
  if (deep) keys = co_await keyring_.probe();
  bool all = !shared_.draining;
  boost::json::object body;
  auto& key_list = body["keys"].emplace_array();
  for (const auto& status : keys) {
    all = all && status.can_sign;
    boost::json::object entry{{"name", status.name}, {"kind", to_string(status.kind)}, {"ready", status.can_sign}};
    if (!status.why_not.empty()) entry["why"] = status.why_not;
    key_list.push_back(std::move(entry));
  }
  auto& token_list = body["tokens"].emplace_array();
  const auto tokens = co_await token_states(shared_);
  for (const auto& token : tokens) token_list.push_back(describe(token));
  const auto report = [&](std::string_view name, const Result<void>& health) {
    all = all && health.has_value();
    boost::json::object entry{{"ready", health.has_value()}};
    if (!health) entry["why"] = health.error().detail;
    body[name] = std::move(entry);
  };
  report("ledger", shared_.ledger->healthy());
  report("store", store_.healthy());
  report("clock", shared_.clock_guard->check());
  body["version"] = AVSEAL_VERSION;
  body["draining"] = shared_.draining.load();
  body["ready"] = all;
  co_return http::Response::json(all ? 200 : 503, body);
}

void Operations::keep_certificates(UnixSeconds now, const std::vector<std::string>& retired) {
  for (const auto& key : keyring_.keys().all()) {
    if (is_public(key)) earlier_.push_back({key.name, key.chain});
  }
  std::erase_if(earlier_, [&](const Earlier& earlier) {
    return earlier.chain.front().not_after() < now ||
           std::find(retired.begin(), retired.end(), earlier.key) != retired.end();
  });
}

Result<http::Response> Operations::certificate(const std::string& file) const {
  const auto named = [&](const std::vector<tokens::Certificate>& chain) {
    return chain.front().sha256_hex() + std::string(pem_suffix) == file;
  };
  for (const auto& key : keyring_.keys().all()) {
    if (is_public(key) && named(key.chain)) return chain_response(key.chain);
  }
  for (const auto& earlier : earlier_) {
    if (named(earlier.chain)) return chain_response(earlier.chain);
  }
  return errors::make(
      Category::not_found, "certificate-unknown",
      "no signing certificate of this node has that SHA-256; expected /certs/<64 lower-case hex digits>.pem");
}

}  // namespace avseal::service
