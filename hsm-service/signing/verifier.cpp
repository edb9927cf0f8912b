#include "signing/verifier.hpp"

#include <algorithm>

#include "signing/diversion.hpp"
#include "signing/identity.hpp"
#include "signing/x5u.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;

// Step 2.
Result<void> check_fresh(UnixSeconds iat, UnixSeconds now, std::int64_t max_age, std::int64_t max_ahead) {
  if (iat < now - max_age) {
    return verdict("iat-stale", "expected iat at most " + std::to_string(max_age) + " s old, found " +
                                    std::to_string(now - iat) + " s");
  }
  if (iat > now + max_ahead) {
    return verdict("iat-future", "expected iat at most " + std::to_string(max_ahead) + " s ahead, found " +
                                     std::to_string(iat - now) + " s");
  }
  return {};
}

// Step 3.
Result<void> check_call(const tokens::Passport& passport, const CallFacts& call) {
  if (passport.orig != call.from) return verdict("orig-mismatch", "expected orig to be the caller of this call");
  if (passport.avatar && call.fingerprints.empty()) {
    return verdict("fingerprint-missing", "expected the fingerprints of this call's SDP");
  }
  for (const auto& text : call.fingerprints) {
    const auto fingerprint = tokens::Fingerprint::from_sdp(text);
    if (!fingerprint) return as_verdict(fingerprint.error());
    if (std::find(passport.mky.begin(), passport.mky.end(), *fingerprint) == passport.mky.end()) {
      return verdict("fingerprint-mismatch", "expected each fingerprint of this call's SDP in mky");
    }
  }
  return {};
}

bool same_host(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

bool has_authority(const tokens::Certificate& signer, const tokens::Identity& identity) {
  if (identity.is_tn) {
    const auto& ranges = signer.tn_auth_list();
    return std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) { return range.contains(identity.value); });
  }
  const auto impu = identity.impu();
  const auto& names = signer.san_dns();
  return std::any_of(names.begin(), names.end(), [&](const auto& name) { return same_host(name, impu.host()); });
}

// Step 6. A diversion is for the diverting party to sign, whoever calls.
Result<void> check_authority(const tokens::Certificate& signer, const tokens::Passport& passport) {
  if (has_authority(signer, passport.div ? *passport.div : passport.orig)) return {};
  if (passport.div) {
    return verdict("certificate-not-authoritative-for-div",
                   "expected the number of div within the certificate's TNAuthList, or its host among the dNSNames");
  }
  return verdict("certificate-not-authoritative",
                 "expected the number of orig within the certificate's TNAuthList, or its host among the dNSNames");
}

}  // namespace

Result<Verifier::Shared> Verifier::Shared::create(const Config& config, Clock clock) {
  Shared shared;
  AVSEAL_TRY(shared.trust, Trust::create(config.trust));
  shared.fetcher = std::make_shared<CertificateFetcher>(config.fetcher, std::move(clock));
  shared.replay = std::make_shared<PassportReplay>(config.replay_entries, config.freshness);
  return shared;
}

Verifier::Verifier(const Config& config, Shared shared, const keyring::Keyring& keyring)
    : config_(config), freshness_(config.freshness.count()), shared_(std::move(shared)), keyring_(keyring) {}

asio::awaitable<Result<VerifiedPassport>> Verifier::verify_call(std::string identity_header, CallFacts call,
                                                                UnixSeconds now) {
  AVSEAL_CO_TRY(auto parsed, read_identity(identity_header, {"avatar", "shaken"}));
  AVSEAL_CO_CHECK(check_time(parsed.passport, call, now));
  AVSEAL_CO_CHECK(check_call(parsed.passport, call));
  AVSEAL_CO_TRY(auto chain, link_diversions(parsed.passport, call.to, call.diversions));
  for (const auto& diversion : chain) AVSEAL_CO_CHECK(check_time(diversion.parsed.passport, call, now));
  std::vector<std::string> signing_inputs{parsed.jws.signing_input};
  auto verified = co_await verify_signer(std::move(parsed), now);
  if (!verified) co_return verified;
  for (auto& diversion : chain) {
    // A div names no call, only a second and two parties; of an avatar's it must not serve for another one of these.
    if (verified->passport.avatar) signing_inputs.push_back(diversion.parsed.jws.signing_input);
    auto diverted = co_await verify_signer(std::move(diversion.parsed), now);
    if (!diverted) co_return diverted.error();
    verified->diverted.push_back({diversion.header, std::move(*diverted->passport.div)});
  }
  if (call.call_id) {
    for (const auto& input : signing_inputs) AVSEAL_CO_CHECK(shared_.replay->check(input, *call.call_id, now));
  }
  co_return verified;
}

Result<void> Verifier::check_time(const tokens::Passport& passport, const CallFacts& call, UnixSeconds now) const {
  AVSEAL_CHECK(check_fresh(passport.iat, now, freshness_, freshness_));
  if (call.time < passport.iat - freshness_ || call.time > passport.iat + freshness_) {
    return verdict("date-stale", "expected the time of the call within the freshness window of iat");
  }
  return {};
}

asio::awaitable<Result<VerifiedPassport>> Verifier::verify_for_authorization(std::string identity_header,
                                                                             UnixSeconds now, std::int64_t max_age) {
  AVSEAL_CO_TRY(auto parsed, read_identity(identity_header, {"avatar"}));
  AVSEAL_CO_CHECK(check_fresh(parsed.passport.iat, now, max_age, freshness_));
  auto verified = co_await verify_signer(std::move(parsed), now);
  co_return verified;
}

// Steps 4 to 7.
asio::awaitable<Result<VerifiedPassport>> Verifier::verify_signer(tokens::ParsedPassport parsed, UnixSeconds now) {
  auto chain = co_await chain_of(parsed.passport.x5u);
  if (!chain) co_return chain.error();
  const std::vector<tokens::Certificate>& certificates = **chain;
  const tokens::Certificate& signer = certificates.front();
  AVSEAL_CO_CHECK(shared_.trust->check(certificates, parsed.passport.iat, now));
  AVSEAL_CO_CHECK(check_authority(signer, parsed.passport));
  if (const auto signature = tokens::verify_jws(parsed.jws, signer.public_key()); !signature) {
    co_return as_verdict(signature.error());
  }
  co_return VerifiedPassport{std::move(parsed.passport), signer, {}};
}

asio::awaitable<Result<Chain>> Verifier::chain_of(std::string x5u) {
  if (auto own = own_chain(x5u)) co_return own;
  auto fetched = co_await shared_.fetcher->fetch(std::move(x5u));
  co_return fetched;
}

Chain Verifier::own_chain(std::string_view x5u) const {
  if (!x5u.starts_with(config_.public_url)) return nullptr;
  for (const auto& key : keyring_.keys().all()) {
    if (key.kind != keyring::KeyKind::avatar_id || key.chain.empty()) continue;
    if (certificate_url(config_, key.certificate()) == x5u) {
      return std::make_shared<const std::vector<tokens::Certificate>>(key.chain);
    }
  }
  return nullptr;
}

std::string certificate_url(const Config& config, const tokens::Certificate& certificate) {
  return config.public_url + "/certs/" + certificate.sha256_hex() + ".pem";
}

SipStatus sip_status(const Error& verdict) {
  const std::string_view reason = verdict.reason;
  if (reason == "identity-missing") return {428, "Use Identity Header"};
  if (reason == "ppt-unsupported") return {428, "Use Supported PASSporT Format"};
  if (reason.starts_with("iat-") || reason.starts_with("date-")) return {403, "Stale Date"};
  if (reason.starts_with("x5u-")) return {436, "Bad Identity Info"};
  if (reason.starts_with("certificate-")) return {437, "Unsupported Credential"};
  return {438, "Invalid Identity Header"};
}

}  // namespace avseal::signing
