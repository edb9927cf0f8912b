#include "authorization/token_request.hpp"

#include <gtest/gtest.h>

namespace avseal::authorization {
namespace {

TEST(Form, DecodesMembersOnce) {
  const auto form = parse_form("a=1&b=x%20y+z%2B&c=").value();
  EXPECT_EQ(form.at("a"), "1");
  EXPECT_EQ(form.at("b"), "x y z+");
  EXPECT_EQ(form.at("c"), "");
  EXPECT_TRUE(parse_form("").value().empty());
}

class BadForm : public testing::TestWithParam<const char*> {};

TEST_P(BadForm, IsRefused) {
  const auto form = parse_form(GetParam());
  ASSERT_FALSE(form) << GetParam();
  EXPECT_EQ(form.error().reason, "form-malformed");
  EXPECT_EQ(form.error().category, Category::bad_request);
}

INSTANTIATE_TEST_SUITE_P(Table, BadForm,
                         testing::Values("a", "=1", "a=1&", "&a=1", "a=1&&b=2", "a=1&a=2", "a=%", "a=%4", "a=%zz",
                                         "a=\x01", "a=\xc3\xa4", "a=b c", "a=1&%61=2"));

TEST(Form, IsBounded) {
  std::string many;
  for (int i = 0; i < 33; ++i) many += (i == 0 ? "" : "&") + ("m" + std::to_string(i)) + "=1";
  EXPECT_FALSE(parse_form(many));
}

struct ErrorCase {
  Category category;
  std::string_view reason;
  unsigned status;
  const char* code;
};

class TokenError : public testing::TestWithParam<ErrorCase> {};

TEST_P(TokenError, HasTheFormOfRfc6749) {
  const auto& c = GetParam();
  const auto response = nrf_error({}, errors::make(c.category, c.reason, "say \"why\""));
  EXPECT_EQ(response.status, c.status);
  const auto body = boost::json::parse(response.body).as_object();
  EXPECT_EQ(body.at("error").as_string(), c.code);
  EXPECT_EQ(std::string_view(body.at("error_description").as_string()), std::string(c.reason) + ": say 'why'");
}

INSTANTIATE_TEST_SUITE_P(
    Table, TokenError,
    testing::Values(ErrorCase{Category::bad_request, "form-malformed", 400, "invalid_request"},
                    ErrorCase{Category::invalid, "ue-token-replayed", 400, "invalid_grant"},
                    ErrorCase{Category::invalid, "scope-invalid", 400, "invalid_scope"},
                    ErrorCase{Category::invalid, "unsupported-grant-type", 400, "unsupported_grant_type"},
                    ErrorCase{Category::forbidden, "policy-denied", 400, "unauthorized_client"},
                    ErrorCase{Category::unauthenticated, "nf-instance-mismatch", 400, "invalid_client"},
                    ErrorCase{Category::unsupported_media_type, "content-type", 415, "invalid_request"}));

TEST(TokenError, CapifAnswers401ToAnUnknownClient) {
  const auto response = capif_error({}, errors::make(Category::unauthenticated, "client-id-mismatch", "x"));
  EXPECT_EQ(response.status, 401U);
}

TEST(TokenError, FailuresOfOursAreProblems) {
  const auto response = nrf_error({}, errors::make(Category::unavailable, "hsm-unavailable", "no worker answers"));
  EXPECT_EQ(response.status, 503U);
  EXPECT_EQ(boost::json::parse(response.body).as_object().at("reason").as_string(), "hsm-unavailable");
}

}  // namespace
}  // namespace avseal::authorization
