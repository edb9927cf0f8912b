// POST /stir/v1/verification
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "site.hpp"

namespace avseal {
namespace {

namespace json = boost::json;
using http::MsDialect;

constexpr const char* path = "/stir/v1/verification";

class VerificationRoute : public testing::TestWithParam<MsDialect> {
 protected:
  bool ts() const { return GetParam() == MsDialect::ts24229; }
  json::object request(const std::string& header) const {
    json::object members{{"from", {{"uri", "sip:alice@a.example"}}},
                         {"to", {{"uri", "sip:bob@b.example"}}},
                         {"fingerprints", json::array{test::fingerprint_a}},
                         {"callId", "call-1"},
                         {"time", site.now}};
    if (!header.empty()) members[ts() ? "identityHeader" : "identity"] = header;
    return {{"verificationRequest", std::move(members)}};
  }
  json::object verify(const json::object& body) {
    const auto response = site.post(path, body, {{"x-requestid", "as-1"}});
    EXPECT_EQ(response.status, 200U) << response.body;
    return test::parse(response).at("verificationResponse").as_object();
  }
  std::string verstat(const json::object& answer) const {
    return std::string(answer.at(ts() ? "verstatValue" : "verstat").as_string());
  }
  std::pair<std::int64_t, std::string> failure(const json::object& answer) const {
    if (!ts()) return {answer.at("reasoncode").as_int64(), std::string(answer.at("reason").as_string())};
    const auto& result = answer.at("verifyResults").as_array().at(0).at("verifyResult").as_object();
    EXPECT_EQ(result.at("status"), "fail");
    return {result.at("reasonCode").as_int64(), std::string(result.at("reason").as_string())};
  }
  std::string metrics() { return prometheus::TextSerializer().Serialize(site.metrics.Collect()); }

  test::Site site{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Ms, VerificationRoute, testing::Values(MsDialect::ts24229, MsDialect::atis1000082),
                         [](const auto& c) { return c.param == MsDialect::ts24229 ? "Ts24229" : "Atis1000082"; });

TEST_P(VerificationRoute, PassesAndForwardsTheAvatar) {
  const auto answer = verify(request(site.assemble(site.passport(), site.key)));
  EXPECT_EQ(verstat(answer), "Avatar-Validation-Passed");
  EXPECT_EQ(answer.at("avatar"), json::value({{"app", "xr-meeting"}, {"id", site.passport().avatar->id}}));
  EXPECT_NE(metrics().find(R"(avseal_ms_verifications_total{ppt="avatar",reason="passed"} 1)"), std::string::npos)
      << metrics();
  EXPECT_TRUE(site.leaves().empty());
}

TEST_P(VerificationRoute, AFailureIs200WithItsReasonAndALeaf) {
  const auto answer = verify(request(site.assemble(site.passport(), test::make_key())));
  EXPECT_EQ(verstat(answer), "Avatar-Validation-Failed");
  EXPECT_EQ(failure(answer), (std::pair<std::int64_t, std::string>{438, "signature-invalid"}));
  EXPECT_FALSE(answer.contains("avatar"));
  EXPECT_NE(metrics().find(R"(reason="signature-invalid"} 1)"), std::string::npos) << metrics();
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 1U);
  const auto text = json::serialize(leaves[0]);
  EXPECT_NE(text.find("verify.avatar-id"), std::string::npos) << text;
  EXPECT_NE(text.find("refused"), std::string::npos) << text;
  EXPECT_NE(text.find("signature-invalid"), std::string::npos) << text;
}

TEST_P(VerificationRoute, TheCodeFollowsTheStep) {
  auto stale = site.passport();
  stale.iat -= 61;
  auto elsewhere = site.passport();
  elsewhere.x5u = "https://certs.b.example/none.pem";
  auto untrusted = site.passport();
  untrusted.x5u = "https://certs.b.example/1.pem";
  const auto key = test::make_key();
  site.certificates_at[untrusted.x5u] = site.tls.issue(test::signer_subject(site.now), key).pem();
  const std::tuple<std::string, std::int64_t, const char*> cases[] = {
      {site.assemble(stale, site.key), 403, "iat-stale"},
      {site.assemble(elsewhere, site.key), 436, "x5u-unreachable"},
      {site.assemble(untrusted, key), 437, "certificate-untrusted"},
      {"nonsense", 438, "identity-header-malformed"},
  };
  for (const auto& [header, code, reason] : cases) {
    const auto answer = verify(request(header));
    EXPECT_EQ(verstat(answer), "Avatar-Validation-Failed");
    EXPECT_EQ(failure(answer), (std::pair<std::int64_t, std::string>{code, reason}));
  }
}

TEST_P(VerificationRoute, ShakenHasItsOwnValues) {
  auto passport = site.passport();
  passport.ppt = "shaken";
  passport.avatar.reset();
  passport.mky.clear();
  auto body = request(site.assemble(passport, site.key));
  auto& members = body.begin()->value().as_object();
  members.erase("fingerprints");
  EXPECT_EQ(verstat(verify(body)), "TN-Validation-Passed");
  members["from"] = {{"tn", "17035550001"}};
  EXPECT_EQ(verstat(verify(body)), "TN-Validation-Failed");
}

TEST_P(VerificationRoute, ADivertedCallBringsItsDivs) {
  auto original = site.passport();
  original.dest = {tokens::Identity::from_uri("sip:bob@a.example").value()};
  tokens::Passport div;
  div.ppt = "div";
  div.x5u = original.x5u;
  div.orig = original.orig;
  div.dest = {tokens::Identity::from_uri("sip:carol@c.example").value()};
  div.div = original.dest.front();
  div.iat = original.iat;
  auto body = request(site.assemble(original, site.key));
  auto& members = body.begin()->value().as_object();
  members["to"] = {{"uri", "sip:bob@a.example"}};
  members["dest"] = {{"uri", "sip:carol@c.example"}};
  EXPECT_EQ(failure(verify(body)), (std::pair<std::int64_t, std::string>{438, "dest-mismatch"}));
  members[ts() ? "identityHeaders" : "identities"] = {"nonsense", site.assemble(div, site.key)};
  const auto answer = verify(body);
  EXPECT_EQ(verstat(answer), "Avatar-Validation-Passed");
  EXPECT_EQ(answer.at("divResult"), json::parse(R"([["sip:bob@a.example","TN-Validation-Passed"]])"));
  if (ts()) {
    EXPECT_EQ(answer.at("verifyResults").as_array().size(), 3U);
  }
  members["dest"] = {{"uri", "sip:dave@c.example"}};
  EXPECT_EQ(failure(verify(body)), (std::pair<std::int64_t, std::string>{438, "identity-header-malformed"}));
}

TEST_P(VerificationRoute, WithoutAHeaderThereIsNoValidation) {
  auto body = request("");
  auto answer = verify(body);
  EXPECT_EQ(verstat(answer), "No-Avatar-Validation");
  EXPECT_EQ(failure(answer), (std::pair<std::int64_t, std::string>{428, "identity-missing"}));
  body.begin()->value().as_object().erase("fingerprints");
  answer = verify(body);
  EXPECT_EQ(verstat(answer), "No-TN-Validation");
}

TEST_P(VerificationRoute, MalformedRequestsAreNoVerdict) {
  auto body = request("x");
  body.begin()->value().as_object().erase("time");
  const auto response = site.post(path, body);
  EXPECT_EQ(response.status, 400U);
  EXPECT_NE(response.body.find("SVC4001"), std::string::npos) << response.body;
}

TEST_P(VerificationRoute, WithoutAVerdictThereIsAnError) {
  site.shared.verification.replay = std::make_shared<signing::PassportReplay>(0, std::chrono::seconds(60));
  signing::Role role(site.config, site.shared,
                     {*site.keyring, *site.ledger, site.subscriptions, site.calls, site.store->idempotency_keys(),
                      [this] { return std::chrono::system_clock::time_point(std::chrono::seconds(site.now)); }},
                     site.metrics);
  signing::CallFacts facts{tokens::Identity::from_uri("sip:alice@a.example").value(),
                           {tokens::Identity::from_uri("sip:bob@b.example").value()},
                           {test::fingerprint_a},
                           "call-1",
                           site.now};
  const auto verified =
      test::run(site.context, role.verifier().verify_call(site.assemble(site.passport(), site.key), facts, site.now));
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().category, Category::unavailable);
}

}  // namespace
}  // namespace avseal
