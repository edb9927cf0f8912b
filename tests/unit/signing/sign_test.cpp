// POST /stir/v1/signing
#include <gtest/gtest.h>

#include "site.hpp"

namespace avseal {
namespace {

namespace json = boost::json;
using http::Method;
using http::MsDialect;

constexpr const char* path = "/stir/v1/signing";
constexpr const char* avatar_id = "urn:uuid:5d0a6c1e-7b3f-4d5a-9a51-5a6c2f1f0b11";

json::object& inner(json::object& request) {
  return request.begin()->value().as_object();
}

// The reason of a refusal; "" for 200.
std::string reason_of(const http::Response& response) {
  if (response.status == 200) return "";
  const auto body = test::parse(response);
  return std::string(body.at("requestError").as_object().begin()->value().at("reason").as_string());
}

std::string header_of(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "absent";
}

class Signing : public testing::TestWithParam<MsDialect> {
 protected:
  Signing() { site.subscribe("sip:alice@a.example", avatar_id, "xr-meeting"); }
  test::Site site{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Ms, Signing, testing::Values(MsDialect::ts24229, MsDialect::atis1000082),
                         [](const auto& c) { return c.param == MsDialect::ts24229 ? "Ts24229" : "Atis1000082"; });

TEST_P(Signing, SignsAnAvatarId) {
  const auto response = site.post(path, test::avatar_request(), {{"x-requestid", "as-1"}});
  ASSERT_EQ(response.status, 200U) << response.body;
  EXPECT_EQ(header_of(response, "x-requestid"), "as-1");
  const auto body = test::parse(response);
  const char* member = GetParam() == MsDialect::ts24229 ? "identityHeader" : "identity";
  const std::string value(body.at("signingResponse").at(member).as_string());
  const auto header = tokens::parse_identity_header(value).value();
  EXPECT_EQ(header.info, "https://sign.a.example/certs/" + site.certificate.sha256_hex() + ".pem");
  EXPECT_EQ(header.alg, "ES256");
  EXPECT_EQ(header.ppt, "avatar");
  const auto parsed = tokens::parse_passport(header.passport).value();
  EXPECT_TRUE(tokens::verify_jws(parsed.jws, site.certificate.public_key()));
  EXPECT_EQ(parsed.jws.header_text, R"({"alg":"ES256","ppt":"avatar","typ":"passport","x5u":")" + header.info + "\"}");
  const auto mky = tokens::Fingerprint::from_sdp(test::fingerprint_a).value();
  EXPECT_EQ(parsed.jws.payload_text,
            R"({"attest":"A","avatar":{"app":"xr-meeting","id":")" + std::string(avatar_id) + R"(","ue":")" +
                mky.to_x5t() +
                R"("},"dest":{"uri":["sip:bob@b.example"]},"iat":1763930000,"mky":[{"alg":"sha-256","dig":")" +
                mky.to_mky_dig() + R"("}],"orig":{"uri":"sip:alice@a.example"},"origid":")" + test::origid + "\"}");
}

TEST_P(Signing, SignsPlainShaken) {
  const auto value = site.sign(test::shaken_request());
  const auto parsed = tokens::parse_passport(tokens::parse_identity_header(value)->passport).value();
  EXPECT_EQ(parsed.passport.ppt, "shaken");
  EXPECT_EQ(parsed.jws.payload_text,
            R"({"attest":"A","dest":{"tn":["15715550000"]},"iat":1763930000,"orig":{"tn":"17035550001"},"origid":")" +
                std::string(test::origid) + "\"}");
  EXPECT_EQ(site.subscriptions.reads, 0);
}

// Bob of a.example sends a call on; who calls is none of his AS's subscribers.
json::object div_request() {
  return {{"signingRequest",
           {{"ppt", "div"},
            {"div", {{"uri", "sip:bob@a.example"}}},
            {"dest", {{"uri", json::array{"sip:carol@c.example"}}}},
            {"iat", test::test_now},
            {"orig", {{"uri", "sip:zoe@z.example"}}}}}};
}

TEST_P(Signing, SignsADiversion) {
  const auto value = site.sign(div_request());
  const auto header = tokens::parse_identity_header(value).value();
  EXPECT_EQ(header.ppt, "div");
  const auto parsed = tokens::parse_passport(header.passport).value();
  EXPECT_TRUE(tokens::verify_jws(parsed.jws, site.certificate.public_key()));
  EXPECT_EQ(parsed.jws.header_text, R"({"alg":"ES256","ppt":"div","typ":"passport","x5u":")" + header.info + "\"}");
  EXPECT_EQ(
      parsed.jws.payload_text,
      R"({"dest":{"uri":["sip:carol@c.example"]},"div":{"uri":"sip:bob@a.example"},"iat":1763930000,"orig":{"uri":"sip:zoe@z.example"}})");
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 1U);
  EXPECT_NE(json::serialize(leaves[0]).find("sign.div"), std::string::npos);
  EXPECT_EQ(site.subject_keys.keys.size(), 3U);
}

TEST_P(Signing, RefusesADiversionOfAPartyOutsideTheClientsScope) {
  for (const json::object& party : {json::object{{"uri", "sip:bob@b.example"}}, json::object{{"tn", "17035550100"}}}) {
    auto request = div_request();
    inner(request)["div"] = party;
    inner(request)["orig"] = {{"uri", "sip:alice@a.example"}};  // its own subscriber: that is not asked
    const auto response = site.post(path, request);
    EXPECT_EQ(response.status, 403U);
    EXPECT_EQ(reason_of(response), "client-out-of-scope");
  }
  EXPECT_EQ(site.keyring->signatures, 0);
}

TEST_P(Signing, RefusesADiversionOutsideTheWindow) {
  for (const int offset : {61, -61}) {
    auto request = div_request();
    inner(request)["iat"] = test::test_now + offset;
    EXPECT_EQ(reason_of(site.post(path, request)), "iat-outside-window") << offset;
  }
}

TEST_P(Signing, LeavesALeafBeforeItAnswers) {
  site.sign(test::avatar_request());
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 1U);
  const auto text = json::serialize(leaves[0]);
  EXPECT_NE(text.find("sign.avatar-id"), std::string::npos) << text;
  EXPECT_NE(text.find("released"), std::string::npos) << text;
  EXPECT_NE(text.find("ims-a"), std::string::npos) << text;
  EXPECT_NE(text.find(avatar_id), std::string::npos) << text;
  EXPECT_EQ(text.find("alice"), std::string::npos) << text;
  EXPECT_EQ(site.subject_keys.keys.size(), 2U);
}

TEST_P(Signing, RefusesAnIatOutsideTheWindow) {
  for (const auto& [offset, expected] : std::initializer_list<std::pair<int, const char*>>{
           {60, ""}, {61, "iat-outside-window"}, {-60, ""}, {-61, "iat-outside-window"}}) {
    auto request = test::shaken_request();
    inner(request)["iat"] = test::test_now + offset;
    EXPECT_EQ(reason_of(site.post(path, request)), expected) << offset;
  }
}

TEST_P(Signing, RefusesWhomTheClientMayNotSpeakFor) {
  auto request = test::shaken_request();
  inner(request)["orig"] = {{"tn", "17035550100"}};
  const auto response = site.post(path, request);
  EXPECT_EQ(response.status, 403U);
  EXPECT_EQ(reason_of(response), "client-out-of-scope");
  EXPECT_TRUE(test::parse(response).at("requestError").as_object().contains("policyException"));
  inner(request)["orig"] = {{"uri", "sip:alice@other.example"}};
  EXPECT_EQ(reason_of(site.post(path, request)), "client-out-of-scope");
  EXPECT_EQ(site.keyring->signatures, 0);
}

TEST_P(Signing, RefusesAnAvatarThatIsNotSubscribed) {
  auto request = test::avatar_request();
  inner(request)["avatar"] = {{"id", avatar_id}, {"app", "another"}};
  EXPECT_EQ(reason_of(site.post(path, request)), "avatar-not-subscribed");
  inner(request)["avatar"] = {{"id", "another"}, {"app", "xr-meeting"}};
  const auto response = site.post(path, request);
  EXPECT_EQ(response.status, 403U);
  EXPECT_EQ(reason_of(response), "avatar-not-subscribed");
  inner(request)["avatar"] = {{"id", avatar_id}, {"app", "xr-meeting"}};
  inner(request)["orig"] = {{"uri", "sip:carol@a.example"}};
  EXPECT_EQ(reason_of(site.post(path, request)), "avatar-not-subscribed");
  EXPECT_EQ(site.keyring->signatures, 0);
  ASSERT_EQ(site.refusals.size(), 3U);
  EXPECT_EQ(site.refusals[0].reason, "avatar-not-subscribed");
}

TEST_P(Signing, TheSubscriptionIsThatOfTheCanonicalImpu) {
  auto request = test::avatar_request();
  inner(request)["orig"] = {{"uri", "SIP:alice@A.EXAMPLE:5060;transport=tcp"}};
  EXPECT_EQ(reason_of(site.post(path, request)), "");
}

TEST_P(Signing, FailsClosedWithoutTheStore) {
  site.subscriptions.failure = errors::make(Category::unavailable, "store-unavailable", "");
  const auto response = site.post(path, test::avatar_request());
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(header_of(response, "retry-after"), "1");
  EXPECT_EQ(site.keyring->signatures, 0);
}

struct HsmFailure {
  Category category;
  const char* reason;
  unsigned status;
  const char* outcome;
};
TEST_P(Signing, AFailedSignatureIsALeafAndNoAnswer) {
  const HsmFailure cases[] = {{Category::unavailable, "hsm-unavailable", 503, "discarded"},
                              {Category::unavailable, "hsm-busy", 503, "discarded"},
                              {Category::internal, "hsm-refused", 500, "refused"}};
  for (const auto& c : cases) {
    site.keyring->failure = errors::make(c.category, c.reason, "");
    const auto response = site.post(path, test::shaken_request());
    EXPECT_EQ(response.status, c.status);
    EXPECT_EQ(reason_of(response), c.reason);
  }
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto text = json::serialize(leaves[i]);
    EXPECT_NE(text.find(cases[i].outcome), std::string::npos) << text;
    EXPECT_NE(text.find(cases[i].reason), std::string::npos) << text;
  }
}

TEST_P(Signing, NothingIsReleasedThatCannotBeLogged) {
  site.ledger->close();
  const auto response = site.post(path, test::shaken_request());
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(response.body.find("identity\""), std::string::npos);
  EXPECT_EQ(site.keyring->signatures, 0);
}

TEST_P(Signing, MalformedRequestsGetMsErrors) {
  const std::tuple<const char*, http::Headers, unsigned, const char*> cases[] = {
      {"", {}, 400, "SVC4000"},
      {"{}", {}, 400, "SVC4001"},
      {"{", {}, 400, "SVC4006"},
      {"{}", {{"accept", "text/html"}}, 406, "SVC4002"},
      {"{}", {{"content-type", "text/plain"}}, 415, "SVC4004"},
  };
  for (const auto& [body, headers, status, id] : cases) {
    auto all = headers;
    if (std::string_view(body).empty()) all.emplace_back("content-type", "application/json");
    const auto response = site.call(Method::post, path, body, &site.ims_as, all);
    EXPECT_EQ(response.status, status) << id;
    EXPECT_NE(response.body.find(id), std::string::npos) << response.body;
  }
  EXPECT_EQ(site.keyring->signatures, 0);
}

TEST_P(Signing, OnlyAnImsAsMaySign) {
  const auto body = json::serialize(test::shaken_request());
  EXPECT_EQ(site.call(Method::post, path, body, &site.operator_).status, 403U);
  EXPECT_EQ(site.call(Method::post, path, body, &site.certificate).status, 403U);
  EXPECT_EQ(site.call(Method::post, path, body, nullptr).status, 401U);
  EXPECT_EQ(site.call(Method::get, path, "", &site.ims_as).status, 405U);
  EXPECT_EQ(site.keyring->signatures, 0);
}

TEST(SigningScope, AttestMayNotBeHigherThanTheClients) {
  test::Site site(MsDialect::ts24229, tokens::Attest::b);
  for (const auto& [attest, expected] :
       std::initializer_list<std::pair<const char*, const char*>>{{"A", "attest-above-client"}, {"B", ""}, {"C", ""}}) {
    auto request = test::shaken_request();
    inner(request)["attest"] = attest;
    EXPECT_EQ(reason_of(site.post(path, request)), expected) << attest;
  }
}

}  // namespace
}  // namespace avseal
