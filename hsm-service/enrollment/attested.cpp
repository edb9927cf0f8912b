#include "enrollment/attested.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <prometheus/family.h>
#include <spdlog/spdlog.h>

#include "attestation/credential.hpp"
#include "enrollment/device_facts.hpp"
#include "enrollment/evidence_record.hpp"
#include "enrollment/requests.hpp"
#include "http/event.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::enrollment {
namespace {

using http::Method;

constexpr std::size_t secret_size = 32;
constexpr std::size_t nonce_size = 32;
constexpr std::int64_t supersede_after = 600;  // seconds that a call may go on with the certificate it began with

Error refused(std::string_view reason, std::string detail) {
  return errors::make(Category::forbidden, reason, std::move(detail));
}

http::Route post(std::string pattern, std::string event, http::Handler handler) {
  http::Route route;
  route.method = Method::post;
  route.pattern = std::move(pattern);
  route.body = http::BodyMode::complete;
  route.content_types = {"application/json"};
  route.max_body = max_attested_body;
  route.timed = true;
  route.event = std::move(event);
  route.handler = std::move(handler);
  return route;
}

prometheus::Family<prometheus::Counter>& family(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics);
}

}  // namespace

Attested::Attested(const Config& config, Dependencies& dependencies, prometheus::Registry& metrics)
    : config_(config),
      with_(dependencies),
      issuer_(with_.keyring, with_.ledger, with_.clock, metrics),
      archive_(with_.keyring, config.attestation->evidence_directory),
      rate_limited_(
          family(metrics, "avseal_enrolment_rate_limited_total", "Enrolments refused because of their rate").Add({})),
      enrolments_(family(metrics, "avseal_enrolments_total", "Attested UE certificates, by what they were")),
      findings_(family(metrics, "avseal_enrolment_findings_total",
                       "What the policy profile would have refused, had its mode been enforce, by reason")),
      alarms_(family(metrics, "avseal_device_alarms_total", "TPMs whose counters tell of a copy or a rollback")) {
  for (const char* kind : {"enrolment", "renewal"}) enrolments_.Add({{"kind", kind}});
  for (const char* kind : {"device-cloned", "device-rolled-back"}) alarms_.Add({{"kind", kind}});
}

void Attested::add_routes(http::Router& router) {
  router.add(post("/enrollment/v1/challenges", "enrollment.challenge",
                  [this](http::Request& request) { return post_challenge(request); }));
  router.add(post("/enrollment/v1/challenges/{id}/certificate", "enrollment.certificate",
                  [this](http::Request& request) { return post_certificate(request); }));
}

Result<void> Attested::admit_address(const http::Request& request) {
  const auto now = std::chrono::steady_clock::now();
  if (!with_.shared.limiter.admit(request.peer_address, now)) {
    rate_limited_.Increment();
    return with_.shared.limiter.refusal();
  }
  return with_.shared.challenges.check_room(now);
}

Attested::Answer Attested::post_challenge(http::Request& request) {
  AVSEAL_CO_CHECK(admit_address(request));
  AVSEAL_CO_TRY(const auto wanted, parse_challenge_request(request.body));
  const auto rules = with_.shared.rules->current();
  auto begun = co_await begin(wanted, rules);
  if (!begun) co_return begun.error();
  count(begun->findings, begun->device.id);
  auto challenge = std::move(*begun);
  challenge.nonce = tokens::random_bytes(nonce_size);
  boost::json::object body{{"nonce", tokens::base64url_encode(challenge.nonce)}, {"server", config_.server}};
  if (challenge.ek) {
    challenge.secret = tokens::random_bytes(secret_size);
    AVSEAL_CO_TRY(const auto ek, attestation::EkCertificate::read(challenge.ek->certificate));
    AVSEAL_CO_TRY(const auto credential,
                  attestation::make_credential(ek.key(), challenge.keys.ak_name, challenge.secret));
    body["credential"] = boost::json::object{{"blob", tokens::base64url_encode(credential.blob)},
                                             {"secret", tokens::base64url_encode(credential.secret)}};
  }
  if (!rules->policy.pcrs.empty())
    body["pcrs"] = boost::json::array(rules->policy.pcrs.begin(), rules->policy.pcrs.end());
  body["expires"] = to_unix(with_.clock()) + config_.challenge_lifetime.count();
  AVSEAL_CO_TRY(auto id, with_.shared.challenges.add(std::move(challenge), std::chrono::steady_clock::now()));
  body["id"] = std::move(id);
  auto response = http::Response::json(201, body);
  response.headers.emplace_back("cache-control", "no-store");
  co_return response;
}

Attested::Async<Challenge> Attested::begin(const ChallengeRequest& wanted, RulesPtr rules) {
  if (wanted.ek) co_return co_await begin_enrolment(wanted, std::move(rules));
  co_return co_await begin_renewal(wanted, std::move(rules));
}

// The identity comes from the operator: with a code now, or with a binding that an earlier code made. A device that did
// not hear its answer has spent its code, and comes again with it.
Attested::Async<std::optional<std::string>> Attested::check_identity(const ChallengeRequest& wanted,
                                                                     const std::string& device) {
  auto identities = co_await with_.devices.identities(device);
  if (!identities) co_return identities.error();
  const bool bound = std::find(identities->begin(), identities->end(), wanted.impu) != identities->end();
  std::optional<std::string> code;
  if (!wanted.code) {
    if (bound) co_return code;
    co_return refused("device-impu-unbound",
                      "this device has no enrolment for this identity; ask the operator for an enrolment code");
  }
  code = code_digest(*wanted.code);
  auto digest = *code;
  auto found = co_await with_.codes.find(std::move(digest), to_unix(with_.clock()));
  if (!found) {
    if (!bound) co_return found.error();
    code.reset();
    co_return code;
  }
  if (found->impu != wanted.impu) {
    co_return refused("enrolment-code-identity", "the enrolment code was issued for another identity");
  }
  co_return code;
}

Attested::Async<Challenge> Attested::begin_enrolment(const ChallengeRequest& wanted, RulesPtr rules) {
  AVSEAL_CO_TRY(const auto ek, attestation::EkCertificate::read(wanted.ek->certificate));
  const auto& id = ek.device_id();
  auto identity = co_await check_identity(wanted, id);
  if (!identity) co_return identity.error();
  auto row = co_await with_.devices.find(id);
  if (!row) co_return row.error();
  AVSEAL_CO_CHECK(check_state(*row));
  auto listed = co_await with_.manifests.find(id);
  if (!listed) co_return listed.error();

  const auto now = to_unix(with_.clock());
  const attestation::Claim claim{
      wanted.ek->chain, wanted.ek->platform_certificate, wanted.serial, wanted.ak, wanted.key, wanted.parent};
  const auto known = known_of(*listed, wanted.serial, row->has_value());
  AVSEAL_CO_TRY(auto admitted, attestation::admit(claim, ek, known, rules->trust, rules->policy, now));
  auto device = device_of(admitted, *row, now);
  if (*listed) device.serial_sha256 = (*listed)->serial_sha256;
  auto standing = co_await with_.devices.refusal(device);
  if (!standing) co_return standing.error();
  co_return Challenge{.nonce = {},
                      .secret = {},
                      .impu = wanted.impu,
                      .code_sha256 = std::move(*identity),
                      .keys = std::move(admitted.keys),
                      .tpm = std::move(admitted.tpm),
                      .device = std::move(device),
                      .ek = wanted.ek,
                      .serial = wanted.serial,
                      .findings = std::move(admitted.findings)};
}

Attested::Async<Challenge> Attested::begin_renewal(const ChallengeRequest& wanted, RulesPtr rules) {
  auto row = co_await with_.devices.find(wanted.device);
  if (!row) co_return row.error();
  if (!*row) co_return refused("device-ak-unknown", "no device with this attestation key is enrolled; enrol again");
  AVSEAL_CO_CHECK(check_state(*row));
  AVSEAL_CO_TRY(auto keys, attestation::read_keys(wanted.ak, wanted.key, wanted.parent, rules->policy));
  AVSEAL_CO_CHECK(check_attestation_key(**row, keys, rules->policy, to_unix(with_.clock())));
  auto identity = co_await check_identity(wanted, wanted.device);
  if (!identity) co_return identity.error();
  auto standing = co_await with_.devices.refusal(**row);
  if (!standing) co_return standing.error();
  auto tpm = tpm_of((*row)->tpm);
  attestation::Findings findings(rules->policy.mode);
  AVSEAL_CO_CHECK(findings.judge(rules->policy.check_vendor(tpm)));
  AVSEAL_CO_CHECK(findings.judge(rules->policy.check_denials(tpm)));
  co_return Challenge{.nonce = {},
                      .secret = {},
                      .impu = wanted.impu,
                      .code_sha256 = {},
                      .keys = std::move(keys),
                      .tpm = std::move(tpm),
                      .device = std::move(**row),
                      .ek = {},
                      .serial = {},
                      .findings = findings.all()};
}

Attested::Answer Attested::post_certificate(http::Request& request) {
  AVSEAL_CO_TRY(auto answer, parse_certificate_answer(request.body));
  const auto id = request.parameters.at("id");
  AVSEAL_CO_TRY(auto challenge, with_.shared.challenges.take(id, std::chrono::steady_clock::now()));
  const bool renewal = !challenge.ek;
  const auto device = challenge.device.id;
  auto issued = co_await finish(std::move(challenge), std::move(answer), request);
  with_.shared.challenges.answered(id);
  if (!issued) co_return issued.error();
  enrolments_.Add({{"kind", renewal ? "renewal" : "enrolment"}}).Increment();
  AVSEAL_CO_TRY(auto chain, issuer_.chain_of(*issued));
  const auto life = issued->not_after() - issued->not_before();
  co_return http::Response::json(201, boost::json::object{{"certificates", std::move(chain)},
                                                          {"device", device},
                                                          {"renewAfter", issued->not_before() + life * 2 / 3}});
}

Attested::Async<tokens::Certificate> Attested::finish(Challenge challenge, CertificateAnswer answer,
                                                      const http::Request& request) {
  if (!tokens::equal_constant_time(challenge.secret, answer.secret.value_or(Bytes()))) {
    co_return refused("credential-mismatch", "the TPM of the EK certificate did not answer for this attestation key");
  }
  const auto rules = with_.shared.rules->current();
  const attestation::Challenge bound{challenge.nonce, challenge.impu, config_.server};
  AVSEAL_CO_TRY(auto verdict,
                attestation::judge(answer.evidence, challenge.keys, challenge.tpm, bound, rules->trust, rules->policy));
  AVSEAL_CO_CHECK(check_csr_identity(verdict.request, challenge.impu));
  count(verdict.findings, challenge.device.id);
  challenge.findings.insert(challenge.findings.end(), verdict.findings.begin(), verdict.findings.end());
  auto life = co_await follow_life(challenge, verdict, request, *rules);
  if (!life) co_return life.error();
  auto approved = co_await check_approval(challenge, request);
  if (!approved) co_return approved.error();

  const auto code_sha256 = challenge.code_sha256;
  std::optional<store::EnrolmentCode> code;
  if (code_sha256) {
    auto spent = co_await with_.codes.spend(*code_sha256, to_unix(with_.clock()));
    if (!spent) co_return spent.error();
    code = std::move(*spent);
  }
  auto issued = co_await issue(std::move(challenge), answer, std::move(verdict), request, rules);
  if (issued || !code) co_return issued;
  auto error = co_await give_back(with_.codes, std::move(*code), issued.error());
  co_return error;
}

// Counters that went back are those of an older copy of the TPM's state. If the newer line then goes on, there are two
// TPMs. What was seen is kept, also where the request is refused.
Attested::Async<void> Attested::follow_life(Challenge& challenge, const attestation::Verdict& verdict,
                                            const http::Request& request, const Rules& rules) {
  auto& device = challenge.device;
  const auto before = device;
  device.firmware = firmware_of(verdict.last);
  const auto progress = check_life(device.life, verdict);
  const bool rolled_back = before.why == rolled_back_reason;
  if (progress && !rolled_back) {
    device.life = life_of(verdict.last);
    co_return Result<void>{};
  }
  auto error = progress ? refused("device-cloned",
                                  "an older copy of this TPM's state was used meanwhile: two devices "
                                  "claim to be this one; an operator must look at them")
                        : progress.error();
  co_await alarm(error.reason, challenge, request);
  attestation::Findings findings(rules.policy.mode);
  auto let_through = findings.judge(error);
  count(findings.all(), device.id);
  challenge.findings.insert(challenge.findings.end(), findings.all().begin(), findings.all().end());
  if (let_through) {
    device.why = progress ? "" : rolled_back_reason;
    if (progress) device.life = life_of(verdict.last);
    co_return Result<void>{};
  }
  auto seen = before;
  seen.why = error.reason;
  if (progress) seen.state = store::DeviceState::pending;
  std::optional<tokens::Impu> no_identity;
  auto kept = co_await with_.devices.put(std::move(seen), std::move(no_identity));
  if (!kept) co_return kept.error();
  co_return error;
}

// Another device for an identity that has one: an operator must say that this is meant.
Attested::Async<void> Attested::check_approval(Challenge& challenge, const http::Request& request) {
  auto bound = co_await with_.devices.identities(challenge.device.id);
  if (!bound) co_return bound.error();
  if (std::find(bound->begin(), bound->end(), challenge.impu) != bound->end()) co_return Result<void>{};
  auto another = co_await with_.devices.another_active(challenge.impu, challenge.device.id);
  if (!another) co_return another.error();
  if (!*another) co_return Result<void>{};

  auto event = http::event_of(request, "device.pending", {{"sub", challenge.impu.canonical()}},
                              {{"device", challenge.device.id}, {"reason", approval_reason}});
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto logged = co_await slot->commit(ledger::Outcome::released);
  if (!logged) co_return logged.error();
  challenge.device.state = store::DeviceState::pending;
  challenge.device.why = approval_reason;
  std::optional<tokens::Impu> identity = challenge.impu;
  auto kept = co_await with_.devices.put(std::move(challenge.device), std::move(identity));
  if (!kept) co_return kept.error();
  co_return approval_pending();
}

Attested::Async<tokens::Certificate> Attested::issue(Challenge challenge, const CertificateAnswer& answer,
                                                     attestation::Verdict verdict, const http::Request& request,
                                                     RulesPtr rules) {
  const auto serial = new_serial();
  const auto serial_hex = tokens::hex_encode(serial);
  const auto now = to_unix(with_.clock());
  boost::json::object details{{"device", challenge.device.id},
                              {"form", challenge.ek ? "enrolment" : "renewal"},
                              {"profile", rules->policy.name}};
  if (challenge.code_sha256) details["code"] = *challenge.code_sha256;
  if (!challenge.findings.empty()) details["findings"] = reasons_of(challenge.findings);
  const bool archived = !rules->policy.archive.empty();
  if (archived) {
    auto record = evidence_record(challenge, answer, verdict, rules->policy, config_.server, now);
    auto digest = co_await archive_.put(serial_hex, std::move(record), request.deadline);
    if (!digest) co_return digest.error();
    details["evidence"] = *digest;
  }
  auto device = std::move(challenge.device);
  device.state = store::DeviceState::active;
  device.last_seen = now;
  const auto& impu = challenge.impu;
  const Issuer::Keep keep = [&](const tokens::Certificate& certificate) -> Async<void> {
    store::UeCertificate row{certificate.fingerprint().to_x5t(), impu, certificate.serial_hex(),
                             certificate.not_after(), device.id};
    store::Enrolment enrolment{device, std::move(row), now + supersede_after};
    co_return co_await with_.devices.enrol(std::move(enrolment));
  };
  Wanted wanted{verdict.request.key, impu, serial, rules->policy.certificate_lifetime, std::move(details)};
  auto issued = co_await issuer_.issue(std::move(wanted), request, keep);
  if (!issued && archived) archive_.remove(serial_hex);
  co_return issued;
}

void Attested::count(const std::vector<Error>& findings, const std::string& device) {
  for (const auto& finding : findings) {
    findings_.Add({{"reason", std::string(finding.reason)}}).Increment();
    spdlog::warn("event=enrolment-finding device={} reason={} detail=\"{}\"", device, finding.reason, finding.detail);
  }
}

boost::asio::awaitable<void> Attested::alarm(std::string_view kind, const Challenge& challenge,
                                             const http::Request& request) {
  alarms_.Add({{"kind", std::string(kind)}}).Increment();
  spdlog::error("event=device-alarm kind={} device={}", kind, challenge.device.id);
  auto event = http::event_of(request, "device.alarm", {{"sub", challenge.impu.canonical()}},
                              {{"device", challenge.device.id}, {"kind", kind}});
  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (slot) (void)co_await slot->commit(ledger::Outcome::released);
}

}  // namespace avseal::enrollment
