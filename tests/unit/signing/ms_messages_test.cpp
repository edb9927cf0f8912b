#include "signing/ms_messages.hpp"

#include <gtest/gtest.h>

#include "site.hpp"

namespace avseal {
namespace {

namespace json = boost::json;
using http::MsDialect;
using test::avatar_request;
using test::shaken_request;

json::object& inner(json::object& request) {
  return request.begin()->value().as_object();
}

Result<tokens::Passport> parse(const json::object& request) {
  return signing::parse_signing_request(json::serialize(request));
}

TEST(SigningRequest, AvatarBecomesAPassport) {
  const auto passport = parse(avatar_request());
  ASSERT_TRUE(passport) << passport.error().detail;
  EXPECT_EQ(passport->ppt, "avatar");
  EXPECT_EQ(passport->orig.value, "sip:alice@a.example");
  ASSERT_TRUE(passport->avatar);
  EXPECT_EQ(passport->avatar->app, "xr-meeting");
  EXPECT_EQ(passport->avatar->ue, tokens::Fingerprint::from_sdp(test::fingerprint_a)->to_x5t());
  EXPECT_EQ(passport->mky.size(), 1U);
  EXPECT_EQ(passport->attest, tokens::Attest::a);
}

TEST(SigningRequest, WithoutAvatarItIsShaken) {
  const auto passport = parse(shaken_request());
  ASSERT_TRUE(passport) << passport.error().detail;
  EXPECT_EQ(passport->ppt, "shaken");
  EXPECT_TRUE(passport->orig.is_tn);
  EXPECT_EQ(passport->orig.value, "17035550001");
  EXPECT_TRUE(passport->mky.empty());
}

TEST(SigningRequest, ValuesAreMadeCanonical) {
  auto request = shaken_request();
  inner(request)["orig"] = {{"tn", "+1(703)555-0001"}};
  inner(request)["dest"] = {{"uri", json::array{"SIP:Bob@B.Example:5060", "tel:+1-571-555-0000"}},
                            {"tn", json::array{"2", "1"}}};
  inner(request)["origid"] = "123E4567-E89B-12D3-A456-426655440000";
  const auto passport = parse(request);
  ASSERT_TRUE(passport) << passport.error().detail;
  EXPECT_EQ(passport->orig.value, "17035550001");
  EXPECT_EQ(passport->origid, test::origid);
  std::vector<std::string> dest;
  for (const auto& identity : passport->dest) dest.push_back((identity.is_tn ? "tn " : "uri ") + identity.value);
  EXPECT_EQ(dest, (std::vector<std::string>{"tn 2", "tn 1", "uri sip:Bob@b.example", "tn 15715550000"}));
}

struct Bad {
  const char* name;
  const char* member;  // of the avatar request, replaced by `value`, or removed if that is null
  const char* value;   // JSON
  const char* reason;
  const char* param;
};

class BadSigningRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadSigningRequest, IsRefused) {
  const Bad& bad = GetParam();
  auto request = avatar_request();
  if (bad.value == nullptr) {
    inner(request).erase(bad.member);
  } else {
    inner(request)[bad.member] = json::parse(bad.value);
  }
  const auto passport = parse(request);
  ASSERT_FALSE(passport);
  EXPECT_EQ(passport.error().reason, bad.reason) << passport.error().detail;
  EXPECT_EQ(passport.error().param, std::string("/signingRequest/") + bad.param);
}

const Bad bad_members[] = {
    {"AttestMissing", "attest", nullptr, "member-missing", "attest"},
    {"AttestUnknown", "attest", R"("D")", "attest-invalid", "attest"},
    {"OrigMissing", "orig", nullptr, "member-missing", "orig"},
    {"OrigEmpty", "orig", "{}", "identity-ambiguous", "orig"},
    {"OrigTwice", "orig", R"({"tn":"1","uri":"sip:a@a.example"})", "identity-ambiguous", "orig"},
    {"OrigArray", "orig", R"({"uri":["sip:a@a.example"]})", "member-type", "orig/uri"},
    {"OrigNotAUri", "orig", R"({"uri":"http://a.example"})", "impu-invalid", "orig/uri"},
    {"DestMissing", "dest", nullptr, "member-missing", "dest"},
    {"DestEmpty", "dest", "{}", "identity-count", "dest"},
    {"DestEmptyArray", "dest", R"({"uri":[]})", "identity-count", "dest"},
    {"DestString", "dest", R"({"uri":"sip:bob@b.example"})", "member-type", "dest/uri"},
    {"DestUnknownMember", "dest", R"({"uri":["sip:bob@b.example"],"x":1})", "member-unknown", "dest/x"},
    {"IatMissing", "iat", nullptr, "member-missing", "iat"},
    {"IatString", "iat", R"("1763930000")", "member-type", "iat"},
    {"IatFraction", "iat", "1763930000.5", "member-type", "iat"},
    {"OrigidMissing", "origid", nullptr, "member-missing", "origid"},
    {"OrigidNoUuid", "origid", R"("123e4567")", "origid-invalid", "origid"},
    {"AvatarIdSpace", "avatar", R"({"id":"a b","app":"x"})", "avatar-id-invalid", "avatar/id"},
    {"AvatarAppEmpty", "avatar", R"({"id":"a","app":""})", "application-id-invalid", "avatar/app"},
    {"AvatarAppMissing", "avatar", R"({"id":"a"})", "member-missing", "avatar/app"},
    {"FingerprintWeak", "fingerprints", R"(["SHA-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33"])",
     "fingerprint-weak", "fingerprints"},
    {"FingerprintsEmpty", "fingerprints", "[]", "fingerprint-count", "fingerprints"},
    {"FingerprintsMissing", "fingerprints", nullptr, "ue-fingerprint-not-listed", "ueFingerprint"},
    {"UeFingerprintMissing", "ueFingerprint", nullptr, "member-missing", "ueFingerprint"},
    {"UeFingerprintWithoutAvatar", "avatar", nullptr, "member-unknown", "ueFingerprint"},
    {"PptOther", "ppt", R"("shaken")", "ppt-mismatch", "ppt"},
    {"Unknown", "rph", "{}", "member-unknown", "rph"},
};
INSTANTIATE_TEST_SUITE_P(Members, BadSigningRequest, testing::ValuesIn(bad_members),
                         [](const auto& test_case) { return std::string(test_case.param.name); });

json::object div_request() {
  return {{"signingRequest",
           {{"ppt", "div"},
            {"div", {{"uri", "SIP:Bob@B.example:5060"}}},
            {"dest", {{"uri", json::array{"sip:carol@c.example"}}}},
            {"iat", test::test_now},
            {"orig", {{"tn", "17035550001"}}}}}};
}

TEST(SigningRequest, WithDivItIsADiversion) {
  auto request = div_request();
  for (const bool named : {true, false}) {
    if (!named) inner(request).erase("ppt");
    const auto passport = parse(request);
    ASSERT_TRUE(passport) << passport.error().detail;
    EXPECT_EQ(passport->ppt, "div");
    EXPECT_EQ(passport->div->value, "sip:Bob@b.example");
    EXPECT_EQ(passport->dest.front().value, "sip:carol@c.example");
    EXPECT_EQ(passport->orig.value, "17035550001");
    EXPECT_FALSE(passport->attest || passport->avatar);
  }
}

class BadDivRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadDivRequest, IsRefused) {
  const Bad& bad = GetParam();
  auto request = div_request();
  if (bad.value == nullptr) {
    inner(request).erase(bad.member);
  } else {
    inner(request)[bad.member] = json::parse(bad.value);
  }
  const auto passport = parse(request);
  ASSERT_FALSE(passport);
  EXPECT_EQ(passport.error().reason, bad.reason) << passport.error().detail;
  EXPECT_EQ(passport.error().param, std::string("/signingRequest/") + bad.param);
}

const Bad bad_div_members[] = {
    {"DivMissing", "div", nullptr, "member-missing", "div"},
    {"DivEmpty", "div", "{}", "identity-ambiguous", "div"},
    {"DivTwice", "div", R"({"tn":"1","uri":"sip:bob@b.example"})", "identity-ambiguous", "div"},
    {"DivArray", "div", R"({"uri":["sip:bob@b.example"]})", "member-type", "div/uri"},
    {"DivIsDest", "dest", R"({"uri":["sip:carol@c.example","sip:Bob@b.example"]})", "div-loop", "dest"},
    {"OrigMissing", "orig", nullptr, "member-missing", "orig"},
    {"IatMissing", "iat", nullptr, "member-missing", "iat"},
    {"DestMissing", "dest", nullptr, "member-missing", "dest"},
    {"PptOther", "ppt", R"("shaken")", "ppt-mismatch", "ppt"},
    {"Attested", "attest", R"("A")", "member-unknown", "attest"},
    {"WithOrigid", "origid", R"("123e4567-e89b-12d3-a456-426655440000")", "member-unknown", "origid"},
    {"WithAvatar", "avatar", R"({"id":"a","app":"b"})", "member-unknown", "avatar"},
    {"WithFingerprints", "fingerprints", "[]", "member-unknown", "fingerprints"},
};
INSTANTIATE_TEST_SUITE_P(Members, BadDivRequest, testing::ValuesIn(bad_div_members),
                         [](const auto& test_case) { return std::string(test_case.param.name); });

TEST(SigningRequest, UeFingerprintMustBeListed) {
  auto request = avatar_request();
  inner(request)["ueFingerprint"] = test::fingerprint_b;
  EXPECT_EQ(parse(request).error().reason, "ue-fingerprint-not-listed");
}

TEST(SigningRequest, UeFingerprintMustBeSha256) {
  std::string sha384 = "SHA-384 00";
  for (int i = 1; i < 48; ++i) sha384 += ":00";
  auto request = avatar_request();
  inner(request)["fingerprints"] = {sha384, test::fingerprint_a};
  ASSERT_TRUE(parse(request));
  inner(request)["ueFingerprint"] = sha384;
  EXPECT_EQ(parse(request).error().reason, "ue-fingerprint-algorithm");
}

TEST(SigningRequest, AnAvatarMayBeNamedByPpt) {
  auto request = avatar_request();
  inner(request)["ppt"] = "avatar";
  EXPECT_TRUE(parse(request));
}

TEST(SigningRequest, CountsAreBounded) {
  auto request = shaken_request();
  json::array dest;
  for (int i = 0; i < 33; ++i) dest.push_back(json::string(std::to_string(15715550000 + i)));
  inner(request)["dest"] = {{"tn", dest}};
  EXPECT_EQ(parse(request).error().reason, "identity-count");
  request = avatar_request();
  inner(request)["fingerprints"] = json::array(17, test::fingerprint_a);
  EXPECT_EQ(parse(request).error().reason, "fingerprint-count");
}

TEST(SigningRequest, BodiesThatAreNoRequest) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "body-missing"},
      {"{", "json-malformed"},
      {R"({"signingRequest":{"iat":1,"iat":2}})", "json-duplicate-member"},
      {"{}", "member-missing"},
      {"[]", "member-type"},
      {R"({"signingRequest":[]})", "member-type"},
  };
  for (const auto& [body, reason] : cases) {
    EXPECT_EQ(signing::parse_signing_request(body).error().reason, reason) << body;
  }
  auto request = shaken_request();
  request["more"] = 1;
  EXPECT_EQ(parse(request).error().reason, "member-unknown");
}

json::object verification(const char* header_member) {
  return {{"verificationRequest",
           {{header_member, "a.b.c;info=<https://h/>"},
            {"from", {{"uri", "sip:alice@a.example"}}},
            {"to", {{"uri", "sip:bob@b.example"}}},
            {"fingerprints", json::array{test::fingerprint_a}},
            {"callId", "call-1"},
            {"time", test::test_now}}}};
}

struct DialectCase {
  const char* name;
  MsDialect dialect;
  const char* header_member;
  const char* other_member;
};
class Dialects : public testing::TestWithParam<DialectCase> {};

TEST_P(Dialects, SigningResponse) {
  const auto text = json::serialize(signing::format_signing_response(GetParam().dialect, "H.P.S"));
  EXPECT_EQ(text, std::string(R"({"signingResponse":{")") + GetParam().header_member + R"(":"H.P.S"}})");
}

TEST_P(Dialects, VerificationRequest) {
  auto body = verification(GetParam().header_member);
  auto request = signing::parse_verification_request(GetParam().dialect, json::serialize(body));
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_EQ(request->identity_header, "a.b.c;info=<https://h/>");
  EXPECT_EQ(request->call.to.size(), 1U);
  EXPECT_EQ(request->call.call_id, "call-1");

  inner(body)["to"] = {{"tn", json::array{"1", "2"}}};
  request = signing::parse_verification_request(GetParam().dialect, json::serialize(body));
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_EQ(request->call.to.size(), 2U);

  inner(body)[GetParam().header_member] = "";
  request = signing::parse_verification_request(GetParam().dialect, json::serialize(body));
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->identity_header);
}

TEST_P(Dialects, VerificationRequestOfTheOtherDialectIsRefused) {
  const auto body = json::serialize(verification(GetParam().other_member));
  EXPECT_EQ(signing::parse_verification_request(GetParam().dialect, body).error().reason, "member-unknown");
}

TEST_P(Dialects, VerificationRequestMembersAreChecked) {
  const Bad cases[] = {
      {"", "from", nullptr, "member-missing", "from"},
      {"", "from", R"({"uri":"nobody"})", "impu-invalid", "from/uri"},
      {"", "to", nullptr, "member-missing", "to"},
      {"", "to", R"({"uri":[1]})", "member-type", "to/uri/0"},
      {"", "time", nullptr, "member-missing", "time"},
      {"", "callId", R"("")", "call-id-invalid", "callId"},
      {"", "fingerprints", R"("x")", "member-type", "fingerprints"},
      {"", "dest", R"({"uri":"nobody"})", "impu-invalid", "dest/uri"},
      {"", "dest", "{}", "identity-count", "dest"},
      {"", "protectedHeaders", "[]", "member-unknown", "protectedHeaders"},
      {"", GetParam().dialect == MsDialect::ts24229 ? "identityHeaders" : "identities", R"("x")", "member-type", ""},
  };
  for (const auto& bad : cases) {
    auto body = verification(GetParam().header_member);
    if (bad.value == nullptr) {
      inner(body).erase(bad.member);
    } else {
      inner(body)[bad.member] = json::parse(bad.value);
    }
    const auto request = signing::parse_verification_request(GetParam().dialect, json::serialize(body));
    ASSERT_FALSE(request) << bad.member;
    EXPECT_EQ(request.error().reason, bad.reason) << bad.member;
  }
}

INSTANTIATE_TEST_SUITE_P(Ms, Dialects,
                         testing::Values(DialectCase{"Ts24229", MsDialect::ts24229, "identityHeader", "identity"},
                                         DialectCase{"Atis1000082", MsDialect::atis1000082, "identity",
                                                     "identityHeader"}),
                         [](const auto& test_case) { return std::string(test_case.param.name); });

signing::VerifiedPassport verified() {
  const test::Authority authority = test::Authority::create("stir", test::test_now);
  signing::VerifiedPassport out{{}, authority.certificate};
  out.passport.ppt = "avatar";
  out.passport.iat = test::test_now;
  out.passport.origid = test::origid;
  out.passport.avatar = tokens::AvatarClaim{"xr-meeting", "avatar-1", "ue"};
  return out;
}

TEST_P(Dialects, DivertedCallsBringAFewHeaders) {
  auto body = verification(GetParam().header_member);
  const char* member = GetParam().dialect == MsDialect::ts24229 ? "identityHeaders" : "identities";
  inner(body)["dest"] = {{"tn", "15715550000"}, {"uri", json::array{"sip:carol@c.example"}}};
  json::array headers(16, "x");
  inner(body)[member] = headers;
  const auto request = signing::parse_verification_request(GetParam().dialect, json::serialize(body));
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_EQ(request->call.diversions.size(), 16U);
  EXPECT_EQ(request->call.to.size(), 3U);
  headers.emplace_back("x");
  inner(body)[member] = headers;
  EXPECT_EQ(signing::parse_verification_request(GetParam().dialect, json::serialize(body)).error().reason,
            "header-count");
}

TEST(VerificationResponse, PassedIn3gppForm) {
  const auto text = json::serialize(signing::format_verification_response(MsDialect::ts24229, "avatar", verified()));
  EXPECT_EQ(json::parse(text), json::parse(R"({"verificationResponse":{"verstatValue":"Avatar-Validation-Passed",
      "avatar":{"app":"xr-meeting","id":"avatar-1"},"verifyResults":[{"verifyResult":{"ppt":"avatar","status":"pass",
      "validClaims":{"iat":1763930000,"origid":"123e4567-e89b-12d3-a456-426655440000"}}}]}})"));
}

TEST(VerificationResponse, SaysWhoDivertedAndWhichHeadersCount) {
  auto outcome = verified();
  outcome.diverted = {{2, tokens::Identity::from_uri("sip:bob@b.example").value()},
                      {0, tokens::Identity::from_tn("15715550000").value()}};
  const auto response = signing::format_verification_response(MsDialect::ts24229, "avatar", outcome, 3);
  const auto& members = response.as_object().at("verificationResponse").as_object();
  EXPECT_EQ(members.at("divResult"),
            json::parse(R"([["sip:bob@b.example","TN-Validation-Passed"],["15715550000","TN-Validation-Passed"]])"));
  const auto& results = members.at("verifyResults").as_array();
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[1], json::parse(R"({"verifyResult":{"ppt":"div","status":"pass"}})"));
  EXPECT_EQ(results[2], json::parse(R"({"verifyResult":{"ppt":"div","status":"fail","reasonCode":438,
      "reasonText":"Invalid Identity Header","reason":"div-not-linked"}})"));
  EXPECT_EQ(results[3], results[1]);
}

TEST(VerificationResponse, FailedIn3gppForm) {
  const Error error = errors::make(Category::invalid, "signature-invalid", "bad");
  EXPECT_EQ(
      signing::format_verification_response(MsDialect::ts24229, "shaken", error),
      json::parse(R"({"verificationResponse":{"verstatValue":"TN-Validation-Failed","verifyResults":[{"verifyResult":
      {"ppt":"shaken","status":"fail","reasonCode":438,"reasonText":"Invalid Identity Header","reason":"signature-invalid"}}]}})"));
}

TEST(VerificationResponse, InAtisForm) {
  EXPECT_EQ(signing::format_verification_response(MsDialect::atis1000082, "avatar", verified()),
            json::parse(R"({"verificationResponse":{"verstat":"Avatar-Validation-Passed",
      "avatar":{"app":"xr-meeting","id":"avatar-1"}}})"));
  const Error error = errors::make(Category::invalid, "iat-stale", "old");
  EXPECT_EQ(signing::format_verification_response(MsDialect::atis1000082, "shaken", error),
            json::parse(R"({"verificationResponse":{"verstat":"TN-Validation-Failed","reasoncode":403,
      "reasontext":"Stale Date","reasondesc":"old","reason":"iat-stale"}})"));
}

TEST(VerificationResponse, WithoutAHeaderThereIsNoValidation) {
  const Error error = errors::make(Category::invalid, "identity-missing", "none");
  const auto response = signing::format_verification_response(MsDialect::atis1000082, "avatar", error);
  const auto& members = response.as_object().at("verificationResponse").as_object();
  EXPECT_EQ(members.at("verstat"), "No-Avatar-Validation");
  EXPECT_EQ(members.at("reasoncode"), 428);
}

}  // namespace
}  // namespace avseal
