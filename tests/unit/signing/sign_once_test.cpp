// POST /stir/v1/signing with an Idempotency-Key
#include <fstream>

#include <gtest/gtest.h>

#include "site.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal {
namespace {

namespace json = boost::json;
using http::MsDialect;

constexpr const char* path = "/stir/v1/signing";
constexpr const char* avatar_id = "urn:uuid:5d0a6c1e-7b3f-4d5a-9a51-5a6c2f1f0b11";

class SignOnce : public testing::TestWithParam<MsDialect> {
 protected:
  SignOnce() { site.subscribe("sip:alice@a.example", avatar_id, "xr-meeting"); }

  http::Response post(const json::value& request, const std::string& key = "\"call-1\"") {
    return site.post(path, request, {{"idempotency-key", key}});
  }
  static std::string reason_of(const http::Response& response) {
    if (response.status == 200) return "";
    const auto body = test::parse(response);
    return std::string(body.at("requestError").as_object().begin()->value().at("reason").as_string());
  }
  static std::string header_of(const http::Response& response, std::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "absent";
  }

  test::Site site{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Ms, SignOnce, testing::Values(MsDialect::ts24229, MsDialect::atis1000082),
                         [](const auto& c) { return c.param == MsDialect::ts24229 ? "Ts24229" : "Atis1000082"; });

TEST_P(SignOnce, ARetryGetsTheSameObject) {
  const auto first = post(test::avatar_request());
  ASSERT_EQ(first.status, 200U) << first.body;
  site.now += 60;
  const auto again = post(test::avatar_request());
  EXPECT_EQ(again.status, 200U);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(site.keyring->signatures, 1);
}

TEST_P(SignOnce, PlainCallsToo) {
  const auto first = post(test::shaken_request());
  ASSERT_EQ(first.status, 200U) << first.body;
  EXPECT_EQ(post(test::shaken_request()).body, first.body);
  EXPECT_EQ(site.keyring->signatures, 1);
}

TEST_P(SignOnce, WithoutAKeyEachRequestIsSigned) {
  const auto first = site.post(path, test::avatar_request());
  EXPECT_NE(site.post(path, test::avatar_request()).body, first.body);
  EXPECT_EQ(site.keyring->signatures, 2);
}

TEST_P(SignOnce, EachKeyIsARequestOfItsOwn) {
  const auto first = post(test::avatar_request(), "\"1\"");
  EXPECT_NE(post(test::avatar_request(), "\"2\"").body, first.body);
}

TEST_P(SignOnce, AReplayIsALeafOfItsOwnKindThatNamesTheObject) {
  post(test::avatar_request());
  post(test::avatar_request());
  const auto leaves = site.leaves();
  ASSERT_EQ(leaves.size(), 2U);
  EXPECT_EQ(leaves[0].at("event").as_string(), "sign.avatar-id");
  const auto& replayed = leaves[1];
  EXPECT_EQ(replayed.at("event").as_string(), "sign.replayed");
  EXPECT_EQ(replayed.at("outcome").as_string(), "released");
  EXPECT_FALSE(replayed.contains("keys"));
  EXPECT_EQ(replayed.at("details").at("avatar").as_string(), avatar_id);
  const auto text = json::serialize(replayed);
  EXPECT_EQ(text.find("alice"), std::string::npos) << text;
}

TEST_P(SignOnce, TheReplaysDigestIsThatOfTheSignedBytes) {
  const auto value = site.sign(test::avatar_request());
  post(test::avatar_request());
  const auto body = test::parse(post(test::avatar_request()));
  const std::string identity(body.at("signingResponse").as_object().begin()->value().as_string());
  const auto jws = identity.substr(0, identity.find(';'));
  const auto input = jws.substr(0, jws.rfind('.'));
  EXPECT_EQ(value.substr(0, input.size()), input);
  EXPECT_EQ(site.leaves().back().at("details").at("digest").as_string(),
            tokens::base64url_encode(tokens::sha256(as_bytes(input))));
}

TEST_P(SignOnce, AnotherBodyIsRefused) {
  post(test::avatar_request());
  auto other = test::avatar_request();
  other.begin()->value().as_object()["attest"] = "B";
  const auto refused = post(other);
  EXPECT_EQ(refused.status, 422U);
  EXPECT_EQ(reason_of(refused), "idempotency-key-reused");
  EXPECT_NE(refused.body.find("SVC4220"), std::string::npos) << refused.body;
  EXPECT_EQ(post(test::shaken_request()).status, 422U);
  EXPECT_EQ(site.keyring->signatures, 1);
  EXPECT_EQ(site.refusals.size(), 2U);
}

TEST_P(SignOnce, EachCertificateHasKeysOfItsOwn) {
  post(test::avatar_request());
  site.replace_ims_as();
  const auto other = post(test::shaken_request());
  EXPECT_EQ(other.status, 200U) << other.body;
  EXPECT_EQ(site.keyring->signatures, 2);
}

TEST_P(SignOnce, AuthorisationIsCheckedAgainFirst) {
  const std::string subscription = "/subscriptions/v1/sip:alice@a.example";
  const std::string avatars = R"({"avatars":[{"applications":["xr-meeting"],"id":")" + std::string(avatar_id) + "\"}]}";
  post(test::avatar_request());
  ASSERT_EQ(site.call(http::Method::del, subscription, "", &site.operator_).status, 204U);
  const auto revoked = post(test::avatar_request());
  EXPECT_EQ(revoked.status, 403U);
  EXPECT_EQ(reason_of(revoked), "avatar-not-subscribed");
  ASSERT_EQ(site.call(http::Method::put, subscription, avatars, &site.operator_).status, 201U);
  EXPECT_EQ(post(test::avatar_request()).status, 200U);
  site.now += 61;
  EXPECT_EQ(reason_of(post(test::avatar_request())), "iat-outside-window");
}

TEST_P(SignOnce, ARefusedRequestTakesNoKey) {
  auto request = test::avatar_request();
  request.begin()->value().as_object()["avatar"] = {{"id", "another"}, {"app", "xr-meeting"}};
  EXPECT_EQ(post(request).status, 403U);
  EXPECT_EQ(post(test::avatar_request()).status, 200U);
}

TEST_P(SignOnce, WhileInProgressARetryWaits) {
  http::Response meanwhile;
  http::Response other;
  site.keyring->before = [&] {
    meanwhile = post(test::avatar_request());
    other = post(test::shaken_request());
  };
  EXPECT_EQ(post(test::avatar_request()).status, 200U);
  EXPECT_EQ(meanwhile.status, 409U);
  EXPECT_EQ(reason_of(meanwhile), "idempotency-in-progress");
  EXPECT_EQ(header_of(meanwhile, "retry-after"), "10") << "what is left of the deadline";
  EXPECT_NE(meanwhile.body.find("SVC4090"), std::string::npos) << meanwhile.body;
  EXPECT_EQ(other.status, 422U);
  EXPECT_EQ(site.keyring->signatures, 1);
}

TEST_P(SignOnce, AnAttemptThatLostItsPlaceReleasesNothing) {
  http::Response second;
  site.keyring->before = [&] {
    site.now += 11;  // beyond the deadline, by the clock that another process has too
    second = post(test::avatar_request());
  };
  const auto first = post(test::avatar_request());
  EXPECT_EQ(first.status, 503U);
  EXPECT_EQ(reason_of(first), "idempotency-attempt-lost");
  EXPECT_EQ(second.status, 200U) << second.body;
  EXPECT_EQ(post(test::avatar_request()).body, second.body);
}

TEST_P(SignOnce, AFailureIsNotKept) {
  site.keyring->failure = errors::make(Category::unavailable, "hsm-unavailable", "");
  EXPECT_EQ(reason_of(post(test::avatar_request())), "hsm-unavailable");
  site.keyring->failure.reset();
  EXPECT_EQ(post(test::avatar_request()).status, 200U);
  EXPECT_EQ(site.keyring->signatures, 1);
}

TEST_P(SignOnce, FailsWithoutTheStoreButOnlyWithAKey) {
  site.store->close();
  const auto refused = post(test::avatar_request());
  EXPECT_EQ(refused.status, 503U);
  EXPECT_EQ(reason_of(refused), "store-unavailable");
  EXPECT_EQ(site.keyring->signatures, 0);
  EXPECT_EQ(site.post(path, test::avatar_request()).status, 200U);
}

TEST_P(SignOnce, NothingIsReplayedThatCannotBeLogged) {
  post(test::avatar_request());
  site.ledger->close();
  EXPECT_EQ(post(test::avatar_request()).status, 503U);
}

TEST_P(SignOnce, AMalformedKeyIsRefused) {
  const auto refused = post(test::avatar_request(), "call-1");
  EXPECT_EQ(refused.status, 400U);
  EXPECT_EQ(reason_of(refused), "idempotency-key-invalid");
  EXPECT_NE(refused.body.find("SVC4005"), std::string::npos) << refused.body;
  EXPECT_EQ(site.keyring->signatures, 0);
}

TEST_P(SignOnce, WhatIsKeptTellsNothingOfTheCall) {
  const auto response = post(test::avatar_request());
  site.store->close();
  std::string bytes;
  for (const char* suffix : {"", "-wal"}) {
    std::ifstream in((site.dir.path() / "store.sqlite").string() + suffix, std::ios::binary);
    bytes.append(std::istreambuf_iterator<char>(in), {});
  }
  const auto identity = response.body.substr(response.body.find("ey"));
  const auto first = identity.find('.');
  const auto second = identity.find('.', first + 1);
  const auto signature = identity.substr(second + 1, 86);
  EXPECT_NE(bytes.find(signature), std::string::npos) << "this is where it would be";
  EXPECT_EQ(bytes.find(identity.substr(first + 1, 40)), std::string::npos);
  EXPECT_EQ(bytes.find("alice"), std::string::npos);
  EXPECT_EQ(bytes.find(test::origid), std::string::npos);
}

}  // namespace
}  // namespace avseal
