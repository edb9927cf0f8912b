#include "authorization/grant.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/event.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::authorization {
namespace {

constexpr std::int64_t leeway = 5;  // seconds

Error invalid(std::string_view reason, std::string detail) {
  return errors::make(Category::invalid, reason, std::move(detail));
}

// What the client presented does not hold: whatever layer found it, the grant is invalid. Failures of ours stay what
// they are.
Error as_grant_error(Error error) {
  switch (error.category) {
    case Category::timeout:
    case Category::unavailable:
    case Category::internal:
    case Category::forbidden:
    case Category::too_many_requests:
      return error;
    default:
      error.category = Category::invalid;
      return error;
  }
}

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

Result<void> check_signer(const VerifiedAvatarId& verified, const Config& config) {
  const auto& names = verified.signer.san_dns();
  const bool accepted = std::any_of(names.begin(), names.end(),
                                    [&](const auto& name) { return contains(config.accepted_issuers, name); });
  if (!accepted) {
    return invalid(
        "signer-not-accepted",
        fmt::format("the signed Avatar-id's signer {} is none of the accepted issuers", verified.signer.subject()));
  }
  return {};
}

// Whether certificate and device are still good, as of now.
Result<void> check_standing(const store::Standing& standing, UnixSeconds now) {
  using store::RevocationCause;
  if (standing.certificate.revoked(now)) {
    switch (standing.certificate.cause) {
      case RevocationCause::none:
      case RevocationCause::certificate:
        return invalid("ue-certificate-revoked", "this UE certificate was revoked");
      case RevocationCause::superseded:
        return invalid("ue-certificate-superseded", "the UE has a newer certificate for this identity; it must use it");
      case RevocationCause::device:
        return invalid("device-revoked", "the UE certificate's device was revoked");
      case RevocationCause::batch:
        return invalid("device-batch-revoked", "the batch of the UE certificate's device was revoked");
      case RevocationCause::model:
        return invalid("device-model-refused", "the model of the UE certificate's device was revoked");
      case RevocationCause::firmware:
        return invalid("device-firmware-refused", "the TPM firmware of the UE certificate's device was revoked");
    }
  }
  if (standing.device == store::DeviceState::revoked) {
    return invalid("device-revoked", "the UE certificate's device was revoked");
  }
  if (standing.device == store::DeviceState::pending) {
    return invalid("device-approval-pending", "the UE certificate's device waits for an operator's approval");
  }
  return {};
}

// The UE token against the signed Avatar-id and the requesting XR AS.
Result<void> check_token_claims(const tokens::UeToken& token, const tokens::Passport& passport,
                                const http::Client& client, UnixSeconds now) {
  const auto& claims = token.claims;
  if (tokens::Identity::of(claims.sub) != passport.orig) {
    return invalid("ue-token-subject", "the UE token's sub is not the orig of the signed Avatar-id");
  }
  if (claims.avatar_id != passport.avatar->id || claims.app != passport.avatar->app) {
    return invalid("ue-token-avatar",
                   fmt::format("the UE token is for avatar {} in {}, the signed Avatar-id for {} in {}",
                               claims.avatar_id, claims.app, passport.avatar->id, passport.avatar->app));
  }
  if (claims.aud != client.xr_as_id) {
    return invalid("ue-token-audience",
                   fmt::format("the UE token's aud is '{}'; this client is '{}'", claims.aud, client.xr_as_id));
  }
  if (!contains(client.applications, claims.app)) {
    return errors::make(Category::forbidden, "application-not-of-client",
                        fmt::format("XR AS '{}' does not serve the application '{}'", client.xr_as_id, claims.app));
  }
  return tokens::check_ue_token_time(claims, now, leeway);
}

}  // namespace

boost::asio::awaitable<Result<void>> Granter::check_call(std::string origid) {
  auto found = co_await with_.calls.find(std::move(origid));
  if (!found) co_return found.error();
  if (!*found) {
    if (config_.require_accept) co_return invalid("call-not-accepted", "UE-B has not accepted this call yet");
    co_return Result<void>{};
  }
  switch ((*found)->state) {
    case store::CallState::avatar_rejected:
      co_return invalid("call-rejected", "UE-B rejected the avatar of this call");
    case store::CallState::ended:
      co_return invalid("call-ended", "this call has ended");
    case store::CallState::accepted:
      break;
  }
  co_return Result<void>{};
}

boost::asio::awaitable<Result<void>> Granter::check_device(const tokens::UeToken& token, UnixSeconds now) {
  AVSEAL_CO_CHECK(config_.ue_anchors.verify(token.leaf, {}, now));
  if (!token.leaf.has_ue_eku() || token.leaf.is_ca()) {
    co_return invalid("ue-certificate-unknown", "the certificate in x5c is not a UE certificate");
  }
  std::string x5t = token.leaf_fingerprint.to_x5t();
  auto found = co_await with_.ue_certificates.standing(std::move(x5t));
  if (!found) co_return found.error();
  if (!*found) co_return invalid("ue-certificate-unknown", "this UE certificate was not issued here");
  AVSEAL_CO_CHECK(check_standing(**found, now));
  const auto& names = token.leaf.san_uris();
  const bool named = std::any_of(names.begin(), names.end(), [&](const auto& uri) {
    const auto impu = tokens::Impu::parse(uri);
    return impu && *impu == token.claims.sub;
  });
  if (!named || (*found)->certificate.impu != token.claims.sub) {
    co_return invalid("ue-certificate-identity", "the UE certificate does not name the UE token's sub");
  }
  co_return Result<void>{};
}

boost::asio::awaitable<Result<std::int64_t>> Granter::check_avatar(tokens::Passport passport,
                                                                   const http::Client& client, UnixSeconds now) {
  const auto& avatar = *passport.avatar;
  const auto impu = passport.orig.impu();
  auto allowed = co_await with_.signing.subscription_allows(impu, avatar.id, avatar.app);
  if (!allowed) co_return allowed.error();
  if (!*allowed) {
    co_return invalid(
        "avatar-not-subscribed",
        "the calling identity's subscription does not (any longer) allow this avatar in this application");
  }
  auto record = co_await with_.avatars.find(avatar.id);
  if (!record) co_return record.error();
  if (!*record || (*record)->withdrawn) co_return invalid("avatar-unknown", "the DAC has no such avatar");
  const PolicyQuestion question{impu, avatar.id, avatar.app, client.xr_as_id, now};
  AVSEAL_CO_CHECK(config_.policy.decide(question));
  co_return (*record)->version;
}

boost::asio::awaitable<Result<Granted>> Granter::grant(TokenRequest request, const http::Request& http) {
  const auto now = to_unix(with_.clock());
  const auto& client = *http.client;

  auto verified = co_await with_.signing.verify(request.signed_avatar_id, now, config_.signed_avatar_id_max_age);
  if (!verified) co_return as_grant_error(verified.error());
  const auto& passport = verified->passport;
  AVSEAL_CO_CHECK(check_signer(*verified, config_));
  if (request.application_id != passport.avatar->app) {
    co_return invalid("application-mismatch", fmt::format("application_id is '{}', the signed Avatar-id is for '{}'",
                                                          request.application_id, passport.avatar->app));
  }
  auto call = co_await check_call(passport.origid);
  if (!call) co_return as_grant_error(call.error());

  const auto token = tokens::parse_ue_token(request.ue_token);
  if (!token) co_return as_grant_error(token.error());
  if (token->leaf_fingerprint.to_x5t() != passport.avatar->ue) {
    co_return invalid("ue-certificate-mismatch",
                      "the UE token's certificate is not the one that the signed Avatar-id names");
  }
  if (const auto signature = tokens::verify_ue_token_signature(*token); !signature)
    co_return as_grant_error(signature.error());
  auto device = co_await check_device(*token, now);
  if (!device) co_return as_grant_error(device.error());
  if (const auto claims = check_token_claims(*token, passport, client, now); !claims)
    co_return as_grant_error(claims.error());
  auto version = co_await check_avatar(passport, client, now);
  if (!version) co_return as_grant_error(version.error());

  const std::string replay_key = token->leaf_fingerprint.to_x5t() + "." + token->claims.jti;
  store::ReplayEntry entry{replay_key, client.id, request.digest, token->claims.exp + leeway};
  auto replay = co_await with_.replay_cache.reserve(std::move(entry));
  if (!replay) co_return replay.error();
  if (replay->kind == store::ReplayState::Kind::other_request) {
    co_return invalid("ue-token-replayed", "this UE token was used before by another client or for another request");
  }

  std::string answer = replay->answer;
  if (answer.empty()) {
    tokens::AccessTokenClaims claims;
    claims.aud = {config_.dac_instance_id};
    claims.app = passport.avatar->app;
    claims.dac = config_.dac_instance_id;
    claims.avatar_id = passport.avatar->id;
    claims.ops = {"read"};
    claims.version = *version;
    claims.client_id = client.id;
    claims.cnf_x5t = http.peer->fingerprint().to_x5t();
    claims.iat = now;
    claims.exp = now + config_.access_token_lifetime;
    claims.iss = config_.instance_id;
    claims.jti = tokens::base64url_encode(tokens::random_bytes(16));
    claims.scope = request.scope;
    claims.sub = client.nf_instance_id;
    auto signed_token = co_await sign(std::move(claims), passport, http, replay_key);
    if (!signed_token) co_return signed_token.error();
    answer = std::move(*signed_token);
  }
  const auto border = answer.find(' ');
  std::string access_token = answer.substr(0, border);
  AVSEAL_CO_TRY(const auto given, tokens::parse_access_token(access_token));
  if (border != std::string::npos) *http.receipt = ledger::Position::parse(std::string_view(answer).substr(border + 1));
  Granted granted{std::move(access_token), given.claims.exp - now, std::move(request.scope)};
  co_return granted;
}

// Commits the leaf before the answer is remembered, so that no other request can be given a token that the ledger does
// not hold. Repetitions that run at the same time may each sign; all are given the token that was remembered first.
// Gives
// "<token> <place of its leaf>".
boost::asio::awaitable<Result<std::string>> Granter::sign(tokens::AccessTokenClaims claims,
                                                          const tokens::Passport& passport, const http::Request& http,
                                                          std::string replay_key) {
  AVSEAL_CO_TRY(const auto key, with_.keyring.keys().primary(keyring::KeyKind::access_token));
  auto event = event_of(http, "grant.access-token", {{"orig", passport.orig.impu().canonical()}},
                        {{"app", claims.app},
                         {"avatar", claims.avatar_id},
                         {"jti", claims.jti},
                         {"origid", passport.origid},
                         {"version", claims.version}});
  AVSEAL_CO_TRY(const auto input, tokens::build_access_token(claims, key->public_key));

  auto slot = co_await with_.ledger.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const auto view = as_bytes(input);
  auto signature = co_await with_.keyring.sign(*slot, *key, view, http.deadline);
  if (!signature) {
    auto error = signature.error();
    const auto reason = error.reason;
    auto logged = co_await slot->commit(ledger::Outcome::refused, reason);
    static_cast<void>(logged);
    co_return error;
  }
  auto leaf = co_await slot->commit(ledger::Outcome::released);
  if (!leaf) co_return leaf.error();
  auto answer = tokens::jws_assemble(input, *signature) + ' ' + leaf->to_string();
  co_return co_await with_.replay_cache.complete(std::move(replay_key), std::move(answer));
}

}  // namespace avseal::authorization
