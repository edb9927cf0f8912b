#include "enrollment/role.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <prometheus/family.h>

#include "http/event.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/fingerprint.hpp"

namespace avseal::enrollment {
namespace {

namespace asio = boost::asio;
using http::ClientRole;
using http::Method;

prometheus::Counter& counter(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics).Add({});
}

}  // namespace

Role::Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics)
    : config_(config),
      with_(dependencies),
      issuer_(with_.keyring, with_.ledger, with_.clock, metrics),
      devices_(config, with_),
      codes_issued_(counter(metrics, "avseal_enrolment_codes_total", "Enrolment codes issued")),
      rate_limited_(
          counter(metrics, "avseal_enrolment_rate_limited_total", "Enrolments refused because of their rate")) {
  if (with_.shared.rules) attested_.emplace(config_, with_, metrics);
}

void Role::add_routes(http::Router& router) {
  http::Route codes;
  codes.method = Method::post;
  codes.pattern = "/enrollment/v1/codes";
  codes.roles = {ClientRole::operator_};
  codes.body = http::BodyMode::complete;
  codes.content_types = {"application/json"};
  codes.timed = true;
  codes.event = "enrollment.code";
  codes.handler = [this](http::Request& request) { return post_code(request); };
  router.add(std::move(codes));

  http::Route simple;
  simple.method = Method::post;
  simple.pattern = "/enrollment/v1/simple";
  simple.body = http::BodyMode::complete;
  simple.content_types = {"application/json"};
  simple.max_body = 24 * 1024;
  simple.timed = true;
  simple.event = "enrollment.simple";
  simple.handler = [this](http::Request& request) { return post_simple(request); };
  router.add(std::move(simple));

  http::Route cacerts;
  cacerts.method = Method::get;
  cacerts.pattern = "/.well-known/est/cacerts";
  cacerts.event = "enrollment.cacerts";
  cacerts.handler = [this](http::Request&) -> Answer { co_return ca_certificates(); };
  router.add(std::move(cacerts));

  http::Route list;
  list.method = Method::get;
  list.pattern = "/enrollment/v1/crl";
  list.event = "enrollment.crl";
  list.handler = [this](http::Request&) -> Answer { co_return crl(); };
  router.add(std::move(list));

  devices_.add_routes(router);
  if (attested_) attested_->add_routes(router);
}

Role::Answer Role::post_code(http::Request& request) {
  AVSEAL_CO_TRY(const auto wanted, parse_code_request(request.body, config_));
  const auto code = new_code();
  store::EnrolmentCode row{code_digest(code), wanted.impu, to_unix(with_.clock()) + wanted.lifetime, wanted.simple};

  boost::json::object details{{"code", row.code_sha256}, {"expires", row.expires}};
  if (wanted.simple) details["simple"] = wanted.reason;
  auto event = event_of(request, "enrolment.code", {{"sub", row.impu.canonical()}}, std::move(details));
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto added = co_await with_.codes.add(row);
  if (!added) {
    (void)co_await slot->commit(ledger::Outcome::discarded, added.error().reason);
    co_return added.error();
  }
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  codes_issued_.Increment();
  const boost::json::object body{{"code", code}, {"impu", row.impu.canonical()}, {"expires", row.expires}};
  auto response = http::Response::json(201, body);
  response.headers.emplace_back("cache-control", "no-store");
  co_return response;
}

Role::Answer Role::post_simple(http::Request& request) {
  if (!with_.shared.limiter.admit(request.peer_address, std::chrono::steady_clock::now())) {
    rate_limited_.Increment();
    co_return with_.shared.limiter.refusal();
  }
  AVSEAL_CO_TRY(const auto wanted, parse_simple_request(request.body));
  AVSEAL_CO_TRY(const auto csr, check_csr(wanted.csr));
  auto spent = co_await spend_simple(wanted.code);
  if (!spent) co_return spent.error();
  if (const auto same = check_csr_identity(csr, spent->impu); !same) {
    auto error = co_await give_back(with_.codes, std::move(*spent), same.error());
    co_return error;
  }
  const Issuer::Keep keep = [&](const tokens::Certificate& certificate) -> asio::awaitable<Result<void>> {
    store::UeCertificate row{certificate.fingerprint().to_x5t(), spent->impu, certificate.serial_hex(),
                             certificate.not_after()};
    co_return co_await with_.ue_certificates.add(std::move(row));
  };
  Wanted certificate{csr.key,
                     spent->impu,
                     new_serial(),
                     config_.certificate_lifetime,
                     {{"code", spent->code_sha256}, {"form", "simple"}}};
  auto issued = co_await issuer_.issue(std::move(certificate), request, keep);
  if (!issued) {
    auto error = co_await give_back(with_.codes, std::move(*spent), issued.error());
    co_return error;
  }
  AVSEAL_CO_TRY(auto chain, issuer_.chain_of(*issued));
  co_return http::Response::json(201, boost::json::object{{"certificates", std::move(chain)}});
}

asio::awaitable<Result<store::EnrolmentCode>> Role::spend_simple(std::string_view code) {
  const auto digest = code_digest(code);
  const auto now = to_unix(with_.clock());
  auto found = co_await with_.codes.find(digest, now);
  if (!found) co_return found.error();
  if (!found->simple) {
    co_return errors::make(
        Category::forbidden, "enrolment-simple-refused",
        "this enrolment code is for a device that proves its TPM (avseal-ue enroll); the simple form "
        "needs a code that the operator invited with --simple");
  }
  co_return co_await with_.codes.spend(digest, now);
}

Result<http::Response> Role::ca_certificates() const {
  AVSEAL_TRY(const auto key, with_.keyring.keys().primary(keyring::KeyKind::ue_ca));
  AVSEAL_TRY(auto body, certs_only_pkcs7(key->chain));
  auto response = http::Response::text(200, "application/pkcs7-mime; smime-type=certs-only", std::move(body));
  response.headers.emplace_back("content-transfer-encoding", "base64");
  return response;
}

Result<http::Response> Role::crl() const {
  const auto current = with_.shared.crl.get();
  if (!current) {
    auto error = errors::make(Category::unavailable, "crl-not-ready", "no CRL was signed since this node started");
    error.retry_after = std::chrono::seconds(1);
    return error;
  }
  auto response = http::Response::text(200, "application/pkix-crl", current->der);
  response.headers.emplace_back("cache-control", "public, max-age=30");
  return response;
}

}  // namespace avseal::enrollment
