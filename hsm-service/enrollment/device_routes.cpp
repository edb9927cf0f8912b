#include "enrollment/device_routes.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "attestation/manifest.hpp"
#include "enrollment/device_facts.hpp"
#include "enrollment/device_requests.hpp"
#include "http/event.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/fingerprint.hpp"

namespace avseal::enrollment {
namespace {

namespace asio = boost::asio;
using http::Method;

boost::json::object describe(const store::Device& device) {
  boost::json::object out{{"id", device.id},
                          {"state", to_string(device.state)},
                          {"maker", device.maker},
                          {"model", device.model},
                          {"batch", device.batch},
                          {"serialSha256", device.serial_sha256},
                          {"tpm", device.tpm},
                          {"firmware", device.firmware},
                          {"akName", device.ak_name},
                          {"akSince", device.ak_since},
                          {"firstSeen", device.first_seen},
                          {"lastSeen", device.last_seen}};
  if (!device.why.empty()) out["why"] = device.why;
  return out;
}

boost::json::object describe(const store::UeCertificate& certificate) {
  boost::json::object out{{"x5t", certificate.certificate_x5t},
                          {"impu", certificate.impu.canonical()},
                          {"serial", certificate.serial_hex},
                          {"notAfter", certificate.not_after}};
  if (certificate.revoked_at != 0) {
    out["revokedAt"] = certificate.revoked_at;
    out["cause"] = to_string(certificate.cause);
  }
  return out;
}

boost::json::object describe(const store::DeviceRevocation& revocation) {
  boost::json::object out{{to_string(revocation.kind), revocation.value},
                          {"reason", revocation.reason},
                          {"actor", revocation.actor},
                          {"since", revocation.since}};
  if (!revocation.scope.empty()) out["scope"] = revocation.scope;
  return out;
}

boost::json::object describe(const store::Manifest& manifest) {
  return {{"maker", manifest.maker},     {"version", manifest.version},        {"digest", manifest.digest},
          {"devices", manifest.devices}, {"importedAt", manifest.imported_at}, {"actor", manifest.actor}};
}

template <class Row>
boost::json::array describe_all(const std::vector<Row>& rows) {
  boost::json::array out;
  for (const auto& row : rows) out.push_back(describe(row));
  return out;
}

Error unknown_device() {
  return errors::make(Category::not_found, "device-unknown", "no device with this id was seen here");
}

std::vector<store::ManifestDevice> rows_of(const attestation::Manifest& manifest) {
  std::vector<store::ManifestDevice> out;
  for (const auto& entry : manifest.devices) {
    out.push_back({entry.device, serial_digest(entry.device, entry.serial), manifest.maker, entry.model, entry.batch});
  }
  return out;
}

}  // namespace

DeviceRoutes::DeviceRoutes(const Config& config, Dependencies& dependencies)
    : config_(config),
      with_(dependencies),
      archive_(with_.keyring, config.attestation ? config.attestation->evidence_directory : std::filesystem::path()) {}

void DeviceRoutes::add_routes(http::Router& router) {
  add(router, Method::get, "/enrollment/v1/devices", "device.list", &DeviceRoutes::list);
  add(router, Method::get, "/enrollment/v1/devices/{id}", "device.show", &DeviceRoutes::show);
  add(router, Method::post, "/enrollment/v1/devices/{id}/approve", "device.approve", &DeviceRoutes::approve);
  add(router, Method::post, "/enrollment/v1/devices/{id}/revoke", "device.revoke", &DeviceRoutes::revoke);
  add(router, Method::post, "/enrollment/v1/certificates/{x5t}/revoke", "enrollment.revoke",
      &DeviceRoutes::revoke_certificate);
  add(router, Method::get, "/enrollment/v1/device-revocations", "device.revocations", &DeviceRoutes::revocations);
  add(router, Method::post, "/enrollment/v1/device-revocations", "device.revoke-all", &DeviceRoutes::revoke_all);
  add(router, Method::get, "/enrollment/v1/manifests", "manifest.list", &DeviceRoutes::manifests);
  add(router, Method::post, "/enrollment/v1/manifests", "manifest.import", &DeviceRoutes::import);
  add(router, Method::get, "/enrollment/v1/evidence/{serial}", "device.evidence", &DeviceRoutes::evidence);
}

void DeviceRoutes::add(http::Router& router, Method method, std::string pattern, std::string event, Handle handle) {
  http::Route route;
  route.method = method;
  route.roles = {http::ClientRole::operator_};
  if (method != Method::get) {
    route.body = http::BodyMode::complete;
    route.content_types = {"application/json"};
  }
  if (handle == &DeviceRoutes::import) route.max_body = max_manifest_body;
  route.pattern = std::move(pattern);
  route.event = std::move(event);
  route.handler = [this, handle](http::Request& request) { return (this->*handle)(request); };
  router.add(std::move(route));
}

asio::awaitable<Result<void>> DeviceRoutes::logged(ledger::Event event, Change change) {
  auto failure = event;
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto written = co_await slot->commit(ledger::Outcome::released);
  if (!written) co_return written.error();
  auto changed = co_await change();
  if (changed) {
    with_.shared.crl.changed();
    co_return changed;
  }
  auto second = co_await with_.ledger.open_slot(std::move(failure));
  if (second) (void)co_await second->commit(ledger::Outcome::discarded, changed.error().reason);
  co_return changed;
}

asio::awaitable<Result<store::Device>> DeviceRoutes::find(const std::string& id) {
  if (!is_device_id(id)) co_return unknown_device();
  auto found = co_await with_.devices.find(id);
  if (!found) co_return found.error();
  if (!*found) co_return unknown_device();
  co_return std::move(**found);
}

DeviceRoutes::Answer DeviceRoutes::list(http::Request& request) {
  AVSEAL_CO_TRY(auto query, parse_device_query(request.query));
  const auto limit = static_cast<std::size_t>(query.limit);
  ++query.limit;  // whether there are more
  auto devices = co_await with_.devices.list(std::move(query));
  if (!devices) co_return devices.error();
  const bool more = devices->size() > limit;
  if (more) devices->pop_back();
  boost::json::object body{{"devices", describe_all(*devices)}};
  if (more) body["next"] = devices->back().id;
  co_return http::Response::json(200, body);
}

DeviceRoutes::Answer DeviceRoutes::show(http::Request& request) {
  auto device = co_await find(request.parameters.at("id"));
  if (!device) co_return device.error();
  auto identities = co_await with_.devices.identities(device->id);
  if (!identities) co_return identities.error();
  auto certificates = co_await with_.ue_certificates.of_device(device->id);
  if (!certificates) co_return certificates.error();
  auto body = describe(*device);
  boost::json::array names;
  for (const auto& impu : *identities) names.emplace_back(impu.canonical());
  body["impus"] = std::move(names);
  body["certificates"] = describe_all(*certificates);
  co_return http::Response::json(200, body);
}

DeviceRoutes::Answer DeviceRoutes::approve(http::Request& request) {
  AVSEAL_CO_TRY(const auto reason, parse_reason(request.body, false));
  auto device = co_await find(request.parameters.at("id"));
  if (!device) co_return device.error();
  const auto id = device->id;
  boost::json::object details{{"device", id}, {"before", to_string(device->state)}};
  if (!reason.empty()) details["reason"] = reason;
  auto event = http::event_of(request, "device.approve", {}, std::move(details));
  const Change change = [&]() -> asio::awaitable<Result<void>> {
    auto approved = co_await with_.devices.approve(id);
    if (!approved) co_return approved.error();
    co_return Result<void>{};
  };
  auto done = co_await logged(std::move(event), change);
  if (!done) co_return done.error();
  co_return http::Response::empty(204);
}

DeviceRoutes::Answer DeviceRoutes::revoke(http::Request& request) {
  AVSEAL_CO_TRY(const auto reason, parse_reason(request.body, true));
  auto device = co_await find(request.parameters.at("id"));
  if (!device) co_return device.error();
  const auto id = device->id;
  std::int64_t certificates = 0;
  auto event = http::event_of(request, "device.revoke", {}, {{"device", id}, {"reason", reason}});
  const Change change = [&]() -> asio::awaitable<Result<void>> {
    auto revoked = co_await with_.devices.revoke(id, reason, to_unix(with_.clock()));
    if (!revoked) co_return revoked.error();
    certificates = revoked->value_or(0);
    co_return Result<void>{};
  };
  auto done = co_await logged(std::move(event), change);
  if (!done) co_return done.error();
  co_return http::Response::json(200, boost::json::object{{"certificates", certificates}});
}

DeviceRoutes::Answer DeviceRoutes::revoke_certificate(http::Request& request) {
  const std::string x5t = request.parameters.at("x5t");
  AVSEAL_CO_TRY(const auto reason, parse_reason(request.body, true));
  AVSEAL_CO_TRY(const auto fingerprint, tokens::Fingerprint::from_x5t(x5t));
  auto found = co_await with_.ue_certificates.find(fingerprint.to_x5t());
  if (!found) co_return found.error();
  if (!*found)
    co_return errors::make(Category::not_found, "ue-certificate-unknown",
                           "no UE certificate with this SHA-256 was issued here");
  auto event = http::event_of(request, "revoke.ue-certificate", {{"sub", (*found)->impu.canonical()}},
                              {{"certificate", x5t}, {"reason", reason}});
  const Change change = [&]() -> asio::awaitable<Result<void>> {
    auto revoked = co_await with_.ue_certificates.revoke(x5t, to_unix(with_.clock()));
    if (!revoked) co_return revoked.error();
    co_return Result<void>{};
  };
  auto done = co_await logged(std::move(event), change);
  if (!done) co_return done.error();
  co_return http::Response::empty(204);
}

DeviceRoutes::Answer DeviceRoutes::revocations(http::Request&) {
  auto all = co_await with_.devices.revocations();
  if (!all) co_return all.error();
  co_return http::Response::json(200, boost::json::object{{"revocations", describe_all(*all)}});
}

DeviceRoutes::Answer DeviceRoutes::revoke_all(http::Request& request) {
  AVSEAL_CO_TRY(auto revocation, parse_revocation(request.body));
  revocation.since = to_unix(with_.clock());
  revocation.actor = request.client->id;
  auto details = describe(revocation);
  details.erase("actor");
  details.erase("since");
  std::int64_t certificates = 0;
  auto event = http::event_of(request, "device.revoke-all", {}, std::move(details));
  const Change change = [&]() -> asio::awaitable<Result<void>> {
    auto revoked = co_await with_.devices.revoke_all(revocation);
    if (!revoked) co_return revoked.error();
    certificates = *revoked;
    co_return Result<void>{};
  };
  auto done = co_await logged(std::move(event), change);
  if (!done) co_return done.error();
  co_return http::Response::json(201, boost::json::object{{"certificates", certificates}});
}

DeviceRoutes::Answer DeviceRoutes::manifests(http::Request&) {
  auto all = co_await with_.manifests.all();
  if (!all) co_return all.error();
  co_return http::Response::json(200, boost::json::object{{"manifests", describe_all(*all)}});
}

DeviceRoutes::Answer DeviceRoutes::import(http::Request& request) {
  if (!with_.shared.rules) {
    co_return errors::make(Category::conflict, "attestation-off",
                           "this node has no policy profile; set enrollment.profile");
  }
  AVSEAL_CO_TRY(const auto wanted, parse_manifest_request(request.body));
  AVSEAL_CO_TRY(const auto manifest, attestation::Manifest::parse(wanted.document));
  const auto rules = with_.shared.rules->current();
  const auto signer = rules->makers.find(manifest.maker);
  if (signer == rules->makers.end()) {
    co_return errors::make(Category::forbidden, "manifest-maker-unknown",
                           fmt::format("'{}' is none of the configured [[enrollment.makers]]", manifest.maker));
  }
  AVSEAL_CO_CHECK(signer->second.verify(wanted.document, wanted.signature));

  store::Manifest row{manifest.maker,
                      manifest.version,
                      tokens::hex_encode(tokens::sha256(as_bytes(wanted.document))),
                      static_cast<std::int64_t>(manifest.devices.size()),
                      to_unix(with_.clock()),
                      request.client->id};
  const auto answer = describe(row);
  auto event = http::event_of(
      request, "manifest.import", {},
      {{"maker", row.maker}, {"version", row.version}, {"digest", row.digest}, {"devices", row.devices}});
  auto rows = rows_of(manifest);
  const Change change = [&]() -> asio::awaitable<Result<void>> {
    co_return co_await with_.manifests.import(std::move(row), std::move(rows));
  };
  auto done = co_await logged(std::move(event), change);
  if (!done) co_return done.error();
  co_return http::Response::json(201, answer);
}

// The leaf comes first: nobody sees evidence unlogged.
DeviceRoutes::Answer DeviceRoutes::evidence(http::Request& request) {
  const std::string serial = request.parameters.at("serial");
  const bool shaped = serial.size() <= 40 && tokens::hex_decode(serial) &&
                      std::none_of(serial.begin(), serial.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  if (!config_.attestation || config_.attestation->evidence_directory.empty() || serial.empty() || !shaped) {
    co_return errors::make(Category::not_found, "evidence-unknown", "no evidence is archived for this certificate");
  }
  auto event = http::event_of(request, "device.evidence", {}, {{"serial", serial}});
  Result<boost::json::value> record = boost::json::value();
  const Change change = [&]() -> asio::awaitable<Result<void>> {
    record = co_await archive_.get(serial, request.deadline);
    if (!record) co_return record.error();
    co_return Result<void>{};
  };
  auto done = co_await logged(std::move(event), change);
  if (!done) co_return done.error();
  auto response = http::Response::json(200, *record);
  response.headers.emplace_back("cache-control", "no-store");
  co_return response;
}

}  // namespace avseal::enrollment
