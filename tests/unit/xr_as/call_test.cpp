#include "examples/xr-as/call.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/mf/metadata_maker.hpp"

namespace avseal::xr_as {
namespace {

using ::testing::HasSubstr;

class UeBindingTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string token() const {
    const UnixSeconds now = to_unix(std::chrono::system_clock::now());
    const tokens::UeTokenClaims claims{.aud = "xr-as-1",
                                       .app = "xr-meeting",
                                       .avatar_id = "avatar-1",
                                       .iat = now,
                                       .exp = now + 60,
                                       .jti = "AAAAAAAAAAAAAAAAAAAAAA",
                                       .sub = tokens::Impu::parse("sip:alice@a.example").value()};
    return key_.jws(tokens::build_ue_token(claims, leaf_).value());
  }

  test::SoftwareCa ca_{"UE CA"};
  test::SoftwareKey key_;
  tokens::Certificate leaf_ =
      ca_.issue_to(key_, {.san = "URI:sip:alice@a.example", .eku = std::string(tokens::ue_eku_oid)});
};

TEST_F(UeBindingTest, TokenOfTheConnectionsCertificatePasses) {
  const auto checked = check_ue_binding(token(), leaf_, true);
  ASSERT_TRUE(checked) << checked.error().detail;
  EXPECT_EQ(checked->claims.avatar_id, "avatar-1");
}

TEST_F(UeBindingTest, ConnectionWithoutCertificateIsRefusedUnlessAllowed) {
  const auto refused = check_ue_binding(token(), std::nullopt, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "ue-certificate-missing");
  EXPECT_EQ(refused.error().category, Category::unauthenticated);
  EXPECT_TRUE(check_ue_binding(token(), std::nullopt, false));
}

TEST_F(UeBindingTest, AnotherCertificateIsRefusedAlways) {
  const tokens::Certificate other =
      ca_.issue_to(key_, {.san = "URI:sip:alice@a.example", .eku = std::string(tokens::ue_eku_oid)});
  for (const bool required : {true, false}) {
    const auto refused = check_ue_binding(token(), other, required);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "ue-certificate-mismatch");
  }
}

TEST_F(UeBindingTest, GarbageIsRefused) {
  EXPECT_FALSE(check_ue_binding("", leaf_, true));
  EXPECT_FALSE(check_ue_binding("a.b.c", leaf_, true));
  const test::MetadataMaker dac;
  EXPECT_FALSE(check_ue_binding(dac.sign(dac.metadata()), leaf_, true)) << "another kind of token";
}

std::string request(std::string_view replace = "", std::string_view with = "") {
  std::string text =
      R"({"signedAvatarId":"h.p.s;info=<https://x/>","ueToken":"a.b.c","application":"app","avatar":"id","session":"s-1"})";
  const std::size_t at = text.find(replace);
  if (!replace.empty() && at != std::string::npos) text.replace(at, replace.size(), with);
  return text;
}

TEST(CallRequestTest, ReadsItsMembers) {
  const auto call = parse_call_request(request());
  ASSERT_TRUE(call) << call.error().detail;
  EXPECT_EQ(call->application, "app");
  EXPECT_EQ(call->avatar, "id");
  EXPECT_EQ(call->session, "s-1");
  EXPECT_EQ(call->ue_token, "a.b.c");
}

TEST(CallRequestTest, MakesASessionWhereNoneIsGiven) {
  const auto call = parse_call_request(request(R"(,"session":"s-1")", ""));
  ASSERT_TRUE(call);
  EXPECT_TRUE(tokens::is_uuid(call->session));
}

TEST(CallRequestTest, RefusesWhatIsNotARequest) {
  EXPECT_FALSE(parse_call_request(""));
  EXPECT_FALSE(parse_call_request("[]"));
  EXPECT_FALSE(parse_call_request(request(R"("avatar":"id")", R"("avatar":"i d")")));
  EXPECT_FALSE(parse_call_request(request(R"("application":"app")", R"("application":1)")));
  EXPECT_FALSE(parse_call_request(request(R"("ueToken":"a.b.c",)", "")));
  EXPECT_FALSE(parse_call_request(request(R"("avatar":"id")", R"("avatar":"id","avatar":"other")")));
  EXPECT_FALSE(parse_call_request(request(R"("avatar":"id")", R"("avatar":"id","more":1)")));
  for (const char* session : {"", "../x", "a/b", "a b", "%2e"}) {
    EXPECT_FALSE(parse_call_request(request("s-1", session))) << session;
  }
}

class GrantTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string answer(std::string_view type = "Bearer") const {
    const UnixSeconds now = to_unix(std::chrono::system_clock::now());
    const tokens::AccessTokenClaims claims{.aud = {tokens::random_uuid()},
                                           .app = "xr-meeting",
                                           .dac = tokens::random_uuid(),
                                           .avatar_id = "avatar-1",
                                           .ops = {"read"},
                                           .version = 3,
                                           .client_id = "xr-as-1",
                                           .cnf_x5t = tokens::base64url_encode(tokens::random_bytes(32)),
                                           .iat = now,
                                           .exp = now + 300,
                                           .iss = tokens::random_uuid(),
                                           .jti = tokens::random_uuid(),
                                           .scope = "ndac-avatar",
                                           .sub = tokens::random_uuid()};
    const std::string token = key_.jws(tokens::build_access_token(claims, key_.public_key()).value());
    return boost::json::serialize(boost::json::object{
        {"access_token", token}, {"token_type", type}, {"expires_in", 300}, {"scope", "ndac-avatar"}});
  }
  test::SoftwareKey key_;
};

TEST_F(GrantTest, TellsTheVersionOfTheGrant) {
  const auto grant = read_grant(200, answer());
  ASSERT_TRUE(grant) << grant.error().detail;
  EXPECT_EQ(grant->claims.version, 3);
  EXPECT_EQ(grant->claims.avatar_id, "avatar-1");
}

TEST_F(GrantTest, RefusalIsPassedOnInTheAuthorizationRolesWords) {
  const auto refused = read_grant(400, "{\"error\":\"invalid_grant\",\"error_description\":\"UE token\nwas used\"}");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "access-token-refused");
  EXPECT_THAT(refused.error().detail, HasSubstr("invalid_grant"));
  EXPECT_THAT(refused.error().detail, ::testing::Not(HasSubstr("\n")));
}

TEST_F(GrantTest, OddAnswersAreRefused) {
  EXPECT_FALSE(read_grant(200, answer("DPoP")));
  EXPECT_FALSE(read_grant(200, "{}"));
  EXPECT_FALSE(read_grant(200, R"({"access_token":"a.b.c","token_type":"Bearer"})"));
  EXPECT_FALSE(read_grant(500, std::string(100'000, 'x')));
}

TEST(VerdictTest, IsJsonForTheUe) {
  Verdict verdict{.session = "s", .steps = {{"UE token", true, "of alice"}}, .refusal = std::nullopt};
  EXPECT_EQ(boost::json::serialize(to_json(verdict)),
            R"({"session":"s","steps":[{"detail":"of alice","passed":true,"step":"UE token"}],"verdict":"accepted"})");
  verdict.refusal = errors::make(Category::forbidden, "metadata-old-version", "old");
  EXPECT_EQ(to_json(verdict).at("verdict").as_string(), "refused");
  EXPECT_EQ(to_json(verdict).at("reason").as_string(), "metadata-old-version");
}

}  // namespace
}  // namespace avseal::xr_as
