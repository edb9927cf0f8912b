#include "site.hpp"

#include <boost/asio/detached.hpp>

#include "tokens/base64.hpp"
#include "tokens/jws.hpp"

namespace avseal::test {

namespace asio = boost::asio;
using authorization::Granted;
using authorization::TokenRequest;

asio::awaitable<Result<authorization::VerifiedAvatarId>> ScriptedSigning::verify(std::string identity_header,
                                                                                 UnixSeconds, std::int64_t max_age) {
  asked_header = std::move(identity_header);
  asked_max_age = max_age;
  if (failure) co_return *failure;
  co_return authorization::VerifiedAvatarId{*passport, *signer};
}

asio::awaitable<Result<bool>> ScriptedSigning::subscription_allows(tokens::Impu impu, std::string, std::string) {
  if (subscription_failure) co_return *subscription_failure;
  co_return allowed&& impu == passport->orig.impu();
}

GrantSite::GrantSite() : node({{"access-token", keyring::KeyKind::access_token, access_key, access_certificate}}, {}) {
  config.instance_id = "22222222-2222-4222-8222-222222222222";
  config.dac_instance_id = dac_instance;
  config.capif_aef_id = "aef-1";
  config.ue_anchors = tokens::TrustAnchors::create(ue_ca.certificate.pem()).value();
  config.accepted_issuers = {"a.example"};
  client.id = "xr-as-1";
  client.role = http::ClientRole::xr_as;
  client.nf_instance_id = xr_as_nf;
  client.xr_as_id = "xr-as.a.example";
}

tokens::Certificate GrantSite::issue_ue(const Attempt& attempt, const Key& key) const {
  const auto& authority = attempt.known_ca ? ue_ca : other_ca;
  std::vector<std::pair<std::string, std::string>> extensions{{"basicConstraints", "critical,CA:FALSE"},
                                                              {"keyUsage", "critical,digitalSignature"},
                                                              {"subjectAltName", "URI:" + attempt.certified}};
  if (attempt.ue_certificate) extensions.emplace_back("extendedKeyUsage", std::string(tokens::ue_eku_oid));
  return make_certificate("ue", key, authority.key, &authority.certificate, extensions, attempt.not_after);
}

std::string GrantSite::ue_token(const Attempt& attempt, const tokens::Certificate& leaf, const Key& key) const {
  const boost::json::object header{
      {"alg", "ES256"},
      {"typ", attempt.typ},
      {"x5c", {tokens::base64_encode(leaf.der())}},
      {"x5t#S256", (attempt.own_digest ? leaf : access_certificate).fingerprint().to_x5t()}};
  const boost::json::object claims{
      {"aud", attempt.aud}, {"avatar", {{"app", attempt.token_app}, {"id", attempt.token_avatar}}},
      {"exp", attempt.exp}, {"iat", attempt.iat},
      {"jti", attempt.jti}, {"sub", attempt.sub}};
  const auto input = tokens::jws_signing_input(header, claims);
  return tokens::jws_assemble(input, sign_raw(attempt.own_signature ? key : make_key(), as_bytes(input)));
}

void GrantSite::put_device(const Attempt& attempt, const tokens::Certificate& leaf) {
  if (!attempt.registered) return;
  const auto x5t = leaf.fingerprint().to_x5t();
  store::UeCertificate row{x5t, tokens::Impu::parse(*attempt.registered).value(), leaf.serial_hex(), leaf.not_after()};
  if (attempt.revoked != store::RevocationCause::none) {
    row.revoked_at = node.now;
    row.cause = attempt.revoked;
  }
  if (attempt.device) {
    store::Device device;
    device.id = row.device = "device of " + x5t;
    device.state = *attempt.device;
    wait(node.store->devices().put(std::move(device), {}));
  }
  wait(node.store->ue_certificates().add(std::move(row)));
}

void GrantSite::put_avatar(const Attempt& attempt) {
  if (!attempt.published) return;
  auto& avatars = node.store->avatars();
  wait(avatars.stage({attempt.avatar, "sha-256-x", 1000, "model/gltf-binary", attempt.avatar + ".bin", {1}, node.now}));
  store::AvatarRecord record{.id = attempt.avatar,
                             .owner = tokens::Impu::parse(alice).value(),
                             .version = 7,
                             .content_digest = "sha-256-x",
                             .content_size = 1000,
                             .content_type = "model/gltf-binary",
                             .content_file = attempt.avatar + ".bin",
                             .wrapped_key = {1},
                             .members = {},
                             .withdrawn = false};
  wait(avatars.publish(std::move(record), 0));
  if (attempt.withdrawn) wait(avatars.withdraw(attempt.avatar, 7));
}

TokenRequest GrantSite::prepare(Attempt attempt) {
  attempt.avatar += std::to_string(++count_);
  attempt.origid = tokens::random_uuid();
  attempt.jti = tokens::base64url_encode(tokens::random_bytes(16));
  if (attempt.token_avatar.empty()) attempt.token_avatar = attempt.avatar;
  const auto key = make_key();
  const auto leaf = issue_ue(attempt, key);

  const auto fingerprint = (attempt.bound ? leaf : access_certificate).fingerprint();
  tokens::Passport passport;
  passport.ppt = "avatar";
  passport.orig = tokens::Identity::from_uri(attempt.orig).value();
  passport.dest = {tokens::Identity::from_uri("sip:bob@b.example").value()};
  passport.iat = node.now;
  passport.attest = tokens::Attest::a;
  passport.origid = attempt.origid;
  passport.mky = {fingerprint};
  passport.avatar = tokens::AvatarClaim{"xr-meeting", attempt.avatar, fingerprint.to_x5t()};
  signing.passport = std::move(passport);
  signing.signer = stir_ca.leaf("signer", make_key(), "DNS:" + attempt.signer_dns);
  signing.failure = attempt.verdict;
  signing.allowed = attempt.subscribed;

  put_device(attempt, leaf);
  put_avatar(attempt);
  if (attempt.call) wait(node.store->calls().put({attempt.origid, *attempt.call, "ims-as", node.now}));
  client.applications = attempt.served;
  config.policy = authorization::Policy::parse("version = 1\n" + attempt.policy, "policy.toml").value();
  config.require_accept = attempt.require_accept;

  TokenRequest request;
  request.scope = "ndac-avatar";
  request.signed_avatar_id = "h.p.s";
  request.ue_token = ue_token(attempt, leaf, key);
  request.application_id = attempt.application_id;
  request.digest = tokens::base64url_encode(tokens::random_bytes(32));
  if (attempt.spent) {
    wait(node.store->replay_cache().reserve(
        {leaf.fingerprint().to_x5t() + "." + attempt.jti, client.id, "another request", node.now + 100}));
  }
  return request;
}

authorization::Granter GrantSite::granter() {
  return {config,
          authorization::Dependencies{signing, *node.keyring, *node.ledger, node.store->avatars(), node.store->calls(),
                                      node.store->ue_certificates(), node.store->replay_cache(), node.clock()}};
}

http::Request GrantSite::http_request() {
  auto out = node.request(http::Method::post, "/oauth2/token", &xr_as);
  out.client = &client;
  return out;
}

Result<Granted> GrantSite::grant(const TokenRequest& request) {
  const auto http = http_request();
  auto granting = granter();
  return run(node.context, granting.grant(request, http));
}

std::pair<Result<Granted>, Result<Granted>> GrantSite::grant_twice(const TokenRequest& request) {
  const auto http = http_request();
  auto granting = granter();
  std::vector<Result<Granted>> answers;
  const auto ask = [&]() -> asio::awaitable<void> { answers.push_back(co_await granting.grant(request, http)); };
  for (int i = 0; i < 2; ++i) asio::co_spawn(node.context, ask(), asio::detached);
  node.context.restart();
  while (answers.size() < 2 && node.context.run_one() > 0) {
  }
  return {std::move(answers.at(0)), std::move(answers.at(1))};
}

std::string GrantSite::reason(const Attempt& spoiled) {
  const auto granted = attempt(spoiled);
  return granted ? "granted" : std::string(granted.error().reason);
}

void GrantSite::restart_store() {
  node.store->close();
  node.store = node.open_store();
  node.ledger->use_subject_keys(node.store->subject_keys());
}

}  // namespace avseal::test
