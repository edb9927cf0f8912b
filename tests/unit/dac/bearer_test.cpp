#include "dac/bearer.hpp"

#include <functional>

#include "site.hpp"

namespace avseal::dac {
namespace {

using test::header_of;
using test::reason_of;

class Bearer : public ::testing::Test, protected test::DacSite {
 protected:
  void SetUp() override { publish_over(test::pattern(10), 0); }
  http::Response with(const std::function<void(tokens::AccessTokenClaims&)>& change) {
    auto changed = claims();
    change(changed);
    return get("/content", token(changed));
  }
  static void expect_challenge(const http::Response& response, unsigned status, const std::string& error) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_NE(header_of(response, "www-authenticate").find("error=\"" + error + "\""), std::string::npos)
        << header_of(response, "www-authenticate");
  }
};

TEST_F(Bearer, GoodTokenReads) {
  EXPECT_EQ(get("/content", token(claims())).status, 200U);
  EXPECT_EQ(get("/metadata", token(claims())).status, 200U);
}

TEST_F(Bearer, NoTokenGetsAChallengeWithoutError) {
  const auto response = get("/content", "");
  EXPECT_EQ(response.status, 401U);
  EXPECT_EQ(header_of(response, "www-authenticate"), "Bearer realm=\"avseal-dac\"");
  auto anonymous = node.request(http::Method::get, std::string(test::avatar_path) + "/content", nullptr);
  const auto refused = node.call(anonymous);
  EXPECT_EQ(refused.status, 401U);
  EXPECT_EQ(header_of(refused, "www-authenticate"), "Bearer realm=\"avseal-dac\"");
}

TEST_F(Bearer, MalformedAuthorization) {
  for (const char* value : {"Basic YTpi", "Bearer", "Bearer "})
    expect_challenge(get("/content", "", {{"authorization", value}}), 400, "invalid_request");
  for (const char* value : {"Bearer x", "bearer a.b.c", "Bearer  "})
    expect_challenge(get("/content", "", {{"authorization", value}}), 401, "invalid_token");
}

TEST_F(Bearer, EachWrongClaimIsRefused) {
  using Claims = tokens::AccessTokenClaims;
  const auto refused = [&](const char* reason, const std::function<void(Claims&)>& change) {
    const auto response = with(change);
    expect_challenge(response, 401, "invalid_token");
    EXPECT_EQ(reason_of(response), reason);
  };
  refused("access-token-issuer", [](Claims& c) { c.iss = "44444444-4444-4444-8444-444444444444"; });
  refused("access-token-audience", [](Claims& c) { c.aud = {"44444444-4444-4444-8444-444444444444"}; });
  refused("access-token-expired", [&](Claims& c) { c.iat = node.now - 200, c.exp = node.now - 100; });
  refused("access-token-expired", [&](Claims& c) { c.iat = node.now + 60, c.exp = node.now + 120; });
  refused("access-token-lifetime", [&](Claims& c) { c.exp = c.iat + 301; });
  refused("access-token-binding", [&](Claims& c) { c.cnf_x5t = feeder.fingerprint().to_x5t(); });
  refused("access-token-subject", [](Claims& c) { c.sub = "44444444-4444-4444-8444-444444444444"; });
  refused("access-token-version", [](Claims& c) { c.version = 2; });
  EXPECT_EQ(node.last_refusal, "access-token-version");
}

TEST_F(Bearer, OutOfScopeIs403) {
  using Claims = tokens::AccessTokenClaims;
  const auto refused = [&](const char* reason, const std::function<void(Claims&)>& change) {
    const auto response = with(change);
    expect_challenge(response, 403, "insufficient_scope");
    EXPECT_EQ(reason_of(response), reason);
    EXPECT_NE(header_of(response, "www-authenticate").find("scope=\"ndac-avatar\""), std::string::npos);
  };
  refused("access-token-scope", [](Claims& c) { c.scope = "nnrf-disc"; });
  refused("access-token-avatar", [](Claims& c) { c.avatar_id = "urn:uuid:avatar-2"; });
  refused("access-token-operation", [](Claims& c) { c.ops = {"write"}; });
}

TEST_F(Bearer, TheCapifScopeIsTakenWhenConfigured) {
  const auto capif = [](tokens::AccessTokenClaims& c) { c.scope = "3gpp#aef-1:ndac-avatar"; };
  EXPECT_EQ(with(capif).status, 403U);
  config.scopes.emplace_back("3gpp#aef-1:ndac-avatar");
  restart();
  EXPECT_EQ(with(capif).status, 200U);
  EXPECT_EQ(with([](tokens::AccessTokenClaims& c) { c.scope = "nnrf-disc ndac-avatar"; }).status, 200U);
  EXPECT_EQ(with([](tokens::AccessTokenClaims& c) { c.scope = "ndac-avatars"; }).status, 403U);
  config.scopes.clear();
  restart();
  EXPECT_EQ(with([](tokens::AccessTokenClaims& c) { c.scope = "none"; }).status, 403U);
  EXPECT_EQ(get("/content", token(claims())).status, 403U);
}

TEST_F(Bearer, ForgedOrForeignSignature) {
  auto forged = token(claims());
  forged[forged.rfind('.') + 5] = forged[forged.rfind('.') + 5] == 'A' ? 'B' : 'A';
  expect_challenge(get("/content", forged), 401, "invalid_token");
  issuer_key = test::make_key();  // a key that is not the issuer's
  expect_challenge(get("/content", token(claims())), 401, "invalid_token");
}

TEST_F(Bearer, MetadataIsNoAccessToken) {
  const auto metadata = get("/metadata", token(claims())).body;
  expect_challenge(get("/content", metadata), 401, "invalid_token");
}

TEST_F(Bearer, NobodyReadsWithoutIssuers) {
  role->use_issuers({});
  EXPECT_EQ(reason_of(get("/content", token(claims()))), "access-token-issuer");
}

TEST_F(Bearer, CertificateMustNameTheNfInstance) {
  auto changed = claims();
  changed.cnf_x5t = impostor.fingerprint().to_x5t();
  auto request = node.request(http::Method::get, std::string(test::avatar_path) + "/content", &impostor);
  request.headers = {{"authorization", "Bearer " + token(changed)}};
  const auto response = node.call(request);
  EXPECT_EQ(response.status, 403U);
  EXPECT_EQ(reason_of(response), "client-nf-instance");
}

TEST_F(Bearer, FeedersDoNotRead) {
  auto request = node.request(http::Method::get, std::string(test::avatar_path) + "/metadata", &feeder);
  request.headers = {{"authorization", "Bearer " + token(claims())}};
  EXPECT_EQ(node.call(request).status, 403U);
}

TEST_F(Bearer, AnOlderGrantReadsTheCurrentVersion) {
  const auto granted = token(claims());
  publish_over(test::pattern(20), 1);
  auto response = get("/content", granted);
  ASSERT_EQ(response.status, 200U);
  EXPECT_EQ(header_of(response, "etag"), "\"2\"");
}

}  // namespace
}  // namespace avseal::dac
