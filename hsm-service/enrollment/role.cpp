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

constexpr std::int64_t clock_tolerance = 60;  // seconds that a UE's clock may be behind ours
constexpr std::size_t serial_bytes = 16;

prometheus::Counter& counter(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics).Add({});
}

Bytes new_serial() {
  auto serial = tokens::random_bytes(serial_bytes);
  serial.front() = static_cast<std::uint8_t>((serial.front() & 0x7f) | 0x40);
  return serial;
}

Result<tokens::UeCertificateFields> fields_of(const tokens::CertificateRequest& csr, const tokens::Impu& impu,
                                              const tokens::Certificate& issuer, UnixSeconds now,
                                              std::int64_t lifetime) {
  const auto not_before = std::max(now - clock_tolerance, issuer.not_before());
  const auto not_after = std::min(not_before + lifetime, issuer.not_after());
  if (not_after <= now)
    return errors::make(Category::unavailable, "certificate-expired",
                        "the UE CA certificate has expired; install a new one");
  return tokens::UeCertificateFields{csr.key, impu, new_serial(), not_before, not_after};
}

}  // namespace

Role::Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics)
    : config_(config),
      with_(std::move(dependencies)),
      codes_issued_(counter(metrics, "avseal_enrolment_codes_total", "Enrolment codes issued")),
      certificates_issued_(counter(metrics, "avseal_ue_certificates_total", "UE certificates issued")),
      rate_limited_(
          counter(metrics, "avseal_enrolment_rate_limited_total", "Enrolments refused because of their rate")) {}

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

  http::Route revoke;
  revoke.method = Method::post;
  revoke.pattern = "/enrollment/v1/devices/{x5t}/revoke";
  revoke.roles = {ClientRole::operator_};
  revoke.event = "enrollment.revoke";
  revoke.handler = [this](http::Request& request) { return revoke_device(request); };
  router.add(std::move(revoke));

  http::Route cacerts;
  cacerts.method = Method::get;
  cacerts.pattern = "/.well-known/est/cacerts";
  cacerts.event = "enrollment.cacerts";
  cacerts.handler = [this](http::Request&) -> Answer { co_return ca_certificates(); };
  router.add(std::move(cacerts));
}

Role::Answer Role::post_code(http::Request& request) {
  AVSEAL_CO_TRY(const auto wanted, parse_code_request(request.body, config_));
  const auto code = new_code();
  store::EnrolmentCode row{code_digest(code), wanted.impu, to_unix(with_.clock()) + wanted.lifetime};

  auto event = event_of(request, "enrolment.code", {{"sub", row.impu.canonical()}},
                        {{"code", row.code_sha256}, {"expires", row.expires}});
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
  if (!with_.limiter.admit(request.peer_address, std::chrono::steady_clock::now())) {
    rate_limited_.Increment();
    auto error =
        errors::make(Category::too_many_requests, "enrolment-rate-limited", "too many enrolments from this address");
    error.retry_after = std::chrono::seconds(std::max(1, static_cast<int>(60 / config_.attempts_per_minute)));
    co_return error;
  }
  AVSEAL_CO_TRY(const auto wanted, parse_simple_request(request.body));
  AVSEAL_CO_TRY(const auto csr, check_csr(wanted.csr));

  auto digest = code_digest(wanted.code);
  auto spent = co_await with_.codes.spend(std::move(digest), to_unix(with_.clock()));
  if (!spent) co_return spent.error();
  if (const auto same = check_csr_identity(csr, spent->impu); !same) {
    auto error = co_await give_back(std::move(*spent), same.error());
    co_return error;
  }
  auto issued = co_await issue(csr, *spent, request);
  if (!issued) {
    auto error = co_await give_back(std::move(*spent), issued.error());
    co_return error;
  }
  certificates_issued_.Increment();
  boost::json::array certificates{boost::json::string(issued->pem())};
  AVSEAL_CO_TRY(const auto key, with_.keyring.keys().primary(keyring::KeyKind::ue_ca));
  for (const auto& certificate : key->chain) certificates.emplace_back(certificate.pem());
  co_return http::Response::json(201, boost::json::object{{"certificates", std::move(certificates)}});
}

asio::awaitable<Error> Role::give_back(store::EnrolmentCode code, Error error) {
  const auto restored = co_await with_.codes.add(std::move(code));
  error.detail += restored ? "; the enrolment code can be used again"
                           : "; the enrolment code is spent, ask the operator for another one";
  co_return error;
}

asio::awaitable<Result<tokens::Certificate>> Role::issue(const tokens::CertificateRequest& csr,
                                                         store::EnrolmentCode code, const http::Request& request) {
  AVSEAL_CO_TRY(const auto key, with_.keyring.keys().primary(keyring::KeyKind::ue_ca));
  AVSEAL_CO_TRY(const auto fields,
                fields_of(csr, code.impu, key->certificate(), to_unix(with_.clock()), config_.certificate_lifetime));
  AVSEAL_CO_TRY(const auto tbs, tokens::build_ue_tbs(fields, key->certificate()));

  auto event = event_of(request, "issue.ue-certificate", {{"sub", code.impu.canonical()}},
                        {{"code", code.code_sha256},
                         {"serial", tokens::hex_encode(fields.serial)},
                         {"key", csr.key.thumbprint()},
                         {"not_after", fields.not_after}});
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const ByteView tbs_view = tbs;
  auto signature = co_await with_.keyring.sign(*slot, *key, tbs_view, request.deadline, keyring::Priority::batch);
  Result<tokens::Certificate> certificate =
      signature ? tokens::assemble_certificate(tbs, key->certificate(), *signature) : signature.error();
  if (certificate) {
    store::UeCertificate row{certificate->fingerprint().to_x5t(), code.impu, certificate->serial_hex(),
                             fields.not_after};
    auto added = co_await with_.ue_certificates.add(std::move(row));
    if (!added) certificate = added.error();
  }
  if (!certificate) {
    (void)co_await slot->commit(ledger::Outcome::discarded, certificate.error().reason);
    co_return certificate.error();
  }
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  co_return certificate;
}

Role::Answer Role::revoke_device(http::Request& request) {
  const auto& x5t = request.parameters.at("x5t");
  AVSEAL_CO_TRY(const auto fingerprint, tokens::Fingerprint::from_x5t(x5t));
  auto found = co_await with_.ue_certificates.find(fingerprint.to_x5t());
  if (!found) co_return found.error();
  if (!*found)
    co_return errors::make(Category::not_found, "ue-certificate-unknown",
                           "no UE certificate with this SHA-256 was issued here");

  // The leaf comes first: nothing takes effect unlogged.
  auto event =
      event_of(request, "revoke.ue-certificate", {{"sub", (*found)->impu.canonical()}}, {{"certificate", x5t}});
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  auto revoked = co_await with_.ue_certificates.revoke(x5t, to_unix(with_.clock()));
  if (!revoked) co_return revoked.error();
  co_return http::Response::empty(204);
}

Result<http::Response> Role::ca_certificates() const {
  AVSEAL_TRY(const auto key, with_.keyring.keys().primary(keyring::KeyKind::ue_ca));
  AVSEAL_TRY(auto body, certs_only_pkcs7(key->chain));
  auto response = http::Response::text(200, "application/pkcs7-mime; smime-type=certs-only", std::move(body));
  response.headers.emplace_back("content-transfer-encoding", "base64");
  return response;
}

}  // namespace avseal::enrollment
