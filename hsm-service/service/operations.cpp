#include "service/operations.hpp"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

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

}  // namespace

Operations::Operations(std::shared_ptr<const keyring::Keys> keys, keyring::Keyring& keyring, ledger::Ledger& ledger,
                       store::Store& store, std::shared_ptr<prometheus::Registry> metrics,
                       const std::atomic<bool>& draining)
    : keys_(std::move(keys)),
      keyring_(keyring),
      ledger_(ledger),
      store_(store),
      metrics_(std::move(metrics)),
      draining_(draining) {}

void Operations::add_routes(http::Router& router) {
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  router.add(get("/livez", "ops.livez", {},
                 [](http::Request&) -> Answer { co_return http::Response::text(200, "text/plain", "live\n"); }));
  router.add(get("/readyz", "ops.readyz", {http::ClientRole::operator_, http::ClientRole::auditor},
                 [this](http::Request&) -> Answer { co_return ready(); }));
  router.add(get("/metrics", "ops.metrics", {http::ClientRole::operator_, http::ClientRole::auditor},
                 [this](http::Request&) -> Answer {
                   const auto families = metrics_->Collect();
                   auto text = prometheus::TextSerializer{}.Serialize(families);
                   co_return http::Response::text(200, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
                 }));
  router.add(get("/certs/{file}", "ops.certs", {},
                 [this](http::Request& request) -> Answer { co_return certificate(request.parameters.at("file")); }));
  router.add(get("/.well-known/jwks.json", "ops.jwks", {}, [this](http::Request&) -> Answer {
    boost::json::array jwks;
    for (const auto& key : keys_->all()) {
      if (key.kind == keyring::KeyKind::ue_ca || key.kind == keyring::KeyKind::dac_kek) continue;
      auto jwk = key.public_key.jwk();
      jwk["kid"] = key.public_key.thumbprint();
      jwk["use"] = "sig";
      jwk["alg"] = tokens::to_string(key.public_key.algorithm());
      jwks.push_back(std::move(jwk));
    }
    auto response = http::Response::json(200, boost::json::object{{"keys", std::move(jwks)}});
    response.headers.emplace_back("cache-control", "public, max-age=300");
    co_return response;
  }));
}

http::Response Operations::ready() const {
  bool all = !draining_;
  boost::json::object body;
  boost::json::array keys;
  for (const auto& status : keyring_.status()) {
    all = all && status.can_sign;
    boost::json::object entry{{"name", status.name}, {"kind", to_string(status.kind)}, {"ready", status.can_sign}};
    if (!status.can_sign) entry["why"] = status.why_not;
    keys.push_back(std::move(entry));
  }
  body["keys"] = std::move(keys);
  const auto report = [&](std::string_view name, const Result<void>& health) {
    all = all && health.has_value();
    boost::json::object entry{{"ready", health.has_value()}};
    if (!health) entry["why"] = health.error().detail;
    body[name] = std::move(entry);
  };
  report("ledger", ledger_.healthy());
  report("store", store_.healthy());
  body["draining"] = draining_.load();
  body["ready"] = all;
  return http::Response::json(all ? 200 : 503, body);
}

Result<http::Response> Operations::certificate(const std::string& file) const {
  for (const auto& key : keys_->all()) {
    if (key.chain.empty() || key.kind == keyring::KeyKind::ue_ca) continue;
    if (file.ends_with(pem_suffix) &&
        key.certificate().sha256_hex() == file.substr(0, file.size() - pem_suffix.size())) {
      std::string pem;
      for (const auto& certificate : key.chain) pem += certificate.pem();
      auto response = http::Response::text(200, "application/pem-certificate-chain", std::move(pem));
      response.headers.emplace_back("cache-control", "public, max-age=3600, immutable");
      return response;
    }
  }
  return errors::make(
      Category::not_found, "certificate-unknown",
      "no signing certificate of this node has that SHA-256; expected /certs/<64 lower-case hex digits>.pem");
}

}  // namespace avseal::service
