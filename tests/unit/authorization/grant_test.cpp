// What a Granter grants, and what it refuses: each check of design section 6 ("UE token") with its own reason.
#include "site.hpp"
#include "tokens/jws.hpp"

namespace avseal::authorization {
namespace {

using test::Attempt;
using test::GrantSite;

class Granting : public testing::Test, protected GrantSite {};

TEST_F(Granting, GrantsWhatTheSignedAvatarIdAndTheUeTokenSay) {
  auto request = prepare({});
  const auto granted = grant(request);
  ASSERT_TRUE(granted) << granted.error().detail;
  EXPECT_EQ(granted->expires_in, config.access_token_lifetime);
  EXPECT_EQ(granted->scope, "ndac-avatar");
  const auto token = tokens::parse_access_token(granted->access_token).value();
  EXPECT_TRUE(tokens::verify_jws(token.jws, access_certificate.public_key()));
  EXPECT_EQ(token.kid, access_certificate.public_key().thumbprint());
  const auto& claims = token.claims;
  EXPECT_EQ(claims.aud, std::vector<std::string>{test::dac_instance});
  EXPECT_EQ(claims.dac, test::dac_instance);
  EXPECT_EQ(claims.avatar_id, signing.passport->avatar->id);
  EXPECT_EQ(claims.app, "xr-meeting");
  EXPECT_EQ(claims.ops, std::vector<std::string>{"read"});
  EXPECT_EQ(claims.version, 7);
  EXPECT_EQ(claims.client_id, "xr-as-1");
  EXPECT_EQ(claims.cnf_x5t, xr_as.fingerprint().to_x5t());
  EXPECT_EQ(claims.sub, test::xr_as_nf);
  EXPECT_EQ(claims.iss, config.instance_id);
  EXPECT_EQ(claims.iat, node.now);
  EXPECT_EQ(claims.exp, node.now + config.access_token_lifetime);
  EXPECT_EQ(signing.asked_header, request.signed_avatar_id);
  EXPECT_EQ(signing.asked_max_age, config.signed_avatar_id_max_age);
}

TEST_F(Granting, TheLeafNamesTheGrantAndNobody) {
  ASSERT_TRUE(attempt({}));
  const auto all = node.leaves();
  const auto leaf = std::find_if(all.begin(), all.end(),
                                 [](const auto& one) { return one.at("event").as_string() == "grant.access-token"; });
  ASSERT_NE(leaf, all.end());
  EXPECT_EQ(leaf->at("outcome").as_string(), "released");
  EXPECT_EQ(boost::json::serialize(*leaf).find("alice"), std::string::npos);
}

// One thing spoiled; `step` is its place in the design's order.
struct Spoiled {
  int step;
  std::string_view reason;
  void (*spoil)(Attempt&);
};

const std::vector<Spoiled>& spoilings() {
  static const std::vector<Spoiled> all{
      {1, "x5u-unreachable",
       [](auto& a) { a.verdict = errors::make(Category::invalid, "x5u-unreachable", "no answer"); }},
      {1, "iat-stale", [](auto& a) { a.verdict = errors::make(Category::forbidden, "iat-stale", "an hour old"); }},
      {2, "signer-not-accepted", [](auto& a) { a.signer_dns = "c.example"; }},
      {3, "application-mismatch", [](auto& a) { a.application_id = "xr-games"; }},
      {4, "call-rejected", [](auto& a) { a.call = store::CallState::avatar_rejected; }},
      {4, "call-ended", [](auto& a) { a.call = store::CallState::ended; }},
      {4, "call-not-accepted", [](auto& a) { a.require_accept = true; }},
      {5, "ue-token-type", [](auto& a) { a.typ = "at+jwt"; }},
      {6, "ue-token-certificate-mismatch", [](auto& a) { a.own_digest = false; }},
      {6, "ue-certificate-mismatch", [](auto& a) { a.bound = false; }},
      {7, "signature-invalid", [](auto& a) { a.own_signature = false; }},
      {8, "certificate-untrusted", [](auto& a) { a.known_ca = false; }},
      {8, "certificate-expired", [](auto& a) { a.not_after = test::start_time - 1; }},
      {9, "ue-certificate-unknown", [](auto& a) { a.ue_certificate = false; }},
      {9, "ue-certificate-unknown", [](auto& a) { a.registered.reset(); }},
      {10, "ue-certificate-revoked", [](auto& a) { a.revoked = store::RevocationCause::certificate; }},
      {10, "ue-certificate-superseded", [](auto& a) { a.revoked = store::RevocationCause::superseded; }},
      {10, "device-revoked", [](auto& a) { a.revoked = store::RevocationCause::device; }},
      {10, "device-batch-revoked", [](auto& a) { a.revoked = store::RevocationCause::batch; }},
      {10, "device-model-refused", [](auto& a) { a.revoked = store::RevocationCause::model; }},
      {10, "device-firmware-refused", [](auto& a) { a.revoked = store::RevocationCause::firmware; }},
      {10, "device-revoked", [](auto& a) { a.device = store::DeviceState::revoked; }},
      {10, "device-approval-pending", [](auto& a) { a.device = store::DeviceState::pending; }},
      {11, "ue-certificate-identity", [](auto& a) { a.certified = test::mallory; }},
      {11, "ue-certificate-identity", [](auto& a) { a.registered = test::mallory; }},
      {12, "ue-token-subject", [](auto& a) { a.orig = test::mallory; }},
      {13, "ue-token-avatar", [](auto& a) { a.token_avatar = "urn:uuid:another"; }},
      {13, "ue-token-avatar",
       [](auto& a) {
         a.token_app = "xr-games", a.served = {"xr-games", "xr-meeting"};
       }},
      {14, "ue-token-audience", [](auto& a) { a.aud = "xr-as.b.example"; }},
      {15, "application-not-of-client", [](auto& a) { a.served = {"xr-other"}; }},
      {16, "ue-token-lifetime", [](auto& a) { a.exp = a.iat + 121; }},
      {16, "ue-token-expired", [](auto& a) { a.iat -= 105, a.exp -= 105; }},
      {16, "ue-token-future", [](auto& a) { a.iat += 6, a.exp += 6; }},
      {17, "avatar-not-subscribed", [](auto& a) { a.subscribed = false; }},
      {18, "avatar-unknown", [](auto& a) { a.published = false; }},
      {18, "avatar-unknown", [](auto& a) { a.withdrawn = true; }},
      {19, "policy-no-rule", [](auto& a) { a.policy.clear(); }},
      {19, "policy-denied", [](auto& a) { a.policy += "[[rule]]\nname = \"no\"\neffect = \"deny\"\n"; }},
      {20, "ue-token-replayed", [](auto& a) { a.spent = true; }},
  };
  return all;
}

TEST_F(Granting, EachCheckRefusesForItsOwnReasonAndNothingIsSigned) {
  for (const auto& spoiled : spoilings()) {
    Attempt bad;
    spoiled.spoil(bad);
    EXPECT_EQ(reason(bad), spoiled.reason);
  }
  EXPECT_EQ(node.keyring->signatures, 0);
  EXPECT_EQ(reason({}), "granted");
  Attempt active;
  active.device = store::DeviceState::active;
  EXPECT_EQ(reason(active), "granted");
}

// Of two things that do not hold, the design's earlier one is told: so a later check never speaks about an object whose
// earlier checks failed.
TEST_F(Granting, ChecksInTheOrderOfTheDesign) {
  std::map<int, Spoiled> steps;
  for (const auto& spoiled : spoilings()) steps.emplace(spoiled.step, spoiled);
  for (auto first = steps.begin(); first != steps.end(); ++first) {
    for (auto second = std::next(first); second != steps.end(); ++second) {
      Attempt bad;
      second->second.spoil(bad);
      first->second.spoil(bad);
      EXPECT_EQ(reason(bad), first->second.reason) << "and " << second->second.reason;
    }
  }
  EXPECT_EQ(node.keyring->signatures, 0);
}

TEST_F(Granting, ARefusalDoesNotSpendTheUeToken) {
  auto request = prepare({});
  signing.allowed = false;
  EXPECT_EQ(grant(request).error().reason, "avatar-not-subscribed");
  signing.allowed = true;
  request.digest = "another request";
  EXPECT_TRUE(grant(request));
}

TEST_F(Granting, TimesHaveFiveSecondsOfLeeway) {
  Attempt early;
  early.iat += 5;
  early.exp += 5;
  EXPECT_EQ(reason(early), "granted");
  Attempt late;
  late.iat -= 104;
  late.exp -= 104;
  EXPECT_EQ(reason(late), "granted");
  Attempt longest;
  longest.exp = longest.iat + 120;
  EXPECT_EQ(reason(longest), "granted");
}

TEST_F(Granting, AnAcceptedCallIsGranted) {
  Attempt accepted;
  accepted.require_accept = true;
  accepted.call = store::CallState::accepted;
  EXPECT_EQ(reason(accepted), "granted");
}

// What the client presented is an invalid grant, whatever layer found it; what is ours, or the policy's, is not.
TEST_F(Granting, CategoriesTellWhoseFaultItIs) {
  const auto category = [this](const Attempt& bad) { return attempt(bad).error().category; };
  Attempt stale;
  stale.verdict = errors::make(Category::bad_request, "passport-malformed", "no JWS");
  EXPECT_EQ(category(stale), Category::invalid);
  Attempt down;
  down.verdict = errors::make(Category::unavailable, "signing-unavailable", "no answer");
  EXPECT_EQ(category(down), Category::unavailable);
  Attempt denied;
  denied.policy.clear();
  EXPECT_EQ(category(denied), Category::forbidden);
}

TEST_F(Granting, ASubscriptionSourceThatDoesNotAnswerGrantsNothing) {
  const auto request = prepare({});
  signing.subscription_failure = errors::make(Category::unavailable, "subscription-source-unavailable", "timeout");
  const auto refused = grant(request);
  EXPECT_EQ(refused.error().reason, "subscription-source-unavailable");
  EXPECT_EQ(refused.error().category, Category::unavailable);
  signing.subscription_failure.reset();
  EXPECT_TRUE(grant(request));
}

TEST_F(Granting, TheSameRequestGetsTheSameToken) {
  const auto request = prepare({});
  const auto first = grant(request).value();
  node.now += 10;
  const auto second = grant(request).value();
  EXPECT_EQ(second.access_token, first.access_token);
  EXPECT_EQ(second.expires_in, first.expires_in - 10);
  EXPECT_EQ(node.keyring->signatures, 1);
}

TEST_F(Granting, TheSameRequestAtTheSameTimeGetsTheSameToken) {
  const auto [first, second] = grant_twice(prepare({}));
  ASSERT_TRUE(first) << first.error().detail;
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_EQ(first->access_token, second->access_token);
}

TEST_F(Granting, AnyOtherUseOfTheUeTokenIsRefused) {
  const auto request = prepare({});
  ASSERT_TRUE(grant(request));
  auto other_bytes = request;
  other_bytes.digest = "other bytes";
  EXPECT_EQ(grant(other_bytes).error().reason, "ue-token-replayed");
  client.id = "xr-as-1b";
  EXPECT_EQ(grant(request).error().reason, "ue-token-replayed");
  EXPECT_EQ(node.keyring->signatures, 1);
}

TEST_F(Granting, TheUseIsRememberedOverARestart) {
  const auto request = prepare({});
  const auto first = grant(request).value();
  restart_store();
  EXPECT_EQ(grant(request).value().access_token, first.access_token);
  auto other_bytes = request;
  other_bytes.digest = "other bytes";
  EXPECT_EQ(grant(other_bytes).error().reason, "ue-token-replayed");
  EXPECT_EQ(node.keyring->signatures, 1);
}

TEST_F(Granting, TheUeTokensLifeBoundsTheRepetition) {
  const auto request = prepare({});
  ASSERT_TRUE(grant(request));
  node.now += 105;
  EXPECT_EQ(grant(request).error().reason, "ue-token-expired");
}

// The HSM failed after the use was recorded: the client that repeats its request gets its token, nobody else does.
TEST_F(Granting, ABlinkOfTheHsmDoesNotCostTheUeToken) {
  const auto request = prepare({});
  node.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "no worker");
  EXPECT_EQ(grant(request).error().reason, "hsm-unavailable");
  restart_store();
  auto other_bytes = request;
  other_bytes.digest = "other bytes";
  EXPECT_EQ(grant(other_bytes).error().reason, "ue-token-replayed");
  node.keyring->failure.reset();
  EXPECT_TRUE(grant(request));
}

TEST_F(Granting, NothingIsGrantedUnlogged) {
  const auto request = prepare({});
  node.ledger->close();
  EXPECT_EQ(grant(request).error().category, Category::unavailable);
  EXPECT_EQ(node.keyring->signatures, 0);
}

}  // namespace
}  // namespace avseal::authorization
