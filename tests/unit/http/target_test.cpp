#include "http/target.hpp"

#include <gtest/gtest.h>

namespace avseal::http {
namespace {

TEST(Target, SplitsPathAndQuery) {
  const auto target = parse_target("/subscriptions/v1/sip%3Aalice@a.example/avatars?app=xr-meeting&empty=&flag");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/subscriptions/v1/sip:alice@a.example/avatars");
  EXPECT_EQ(target->query, (std::map<std::string, std::string>{{"app", "xr-meeting"}, {"empty", ""}, {"flag", ""}}));
  EXPECT_EQ(parse_target("/")->path, "/");
  EXPECT_EQ(parse_target("/a%20b")->path, "/a b");
  EXPECT_EQ(parse_target("/a?b=c+d%2B")->query.at("b"), "c+d+") << "'+' is no space in a URL";
}

struct BadTarget : ::testing::TestWithParam<std::string> {};

TEST_P(BadTarget, IsRefused) {
  const auto target = parse_target(GetParam());
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().reason, "target-malformed");
  EXPECT_EQ(target.error().category, Category::bad_request);
}

INSTANTIATE_TEST_SUITE_P(All, BadTarget,
                         ::testing::Values("", "a", "*", "https://a/b", "//", "/a/", "/a//b", "/.", "/a/../b",
                                           "/a/%2E%2e/b", "/a%2Fb", "/a%00b", "/a%0ab", "/a%7f", "/%e2%82%ac",
                                           "/\xe2\x82\xac", "/a b", "/a#b", "/a%", "/a%4", "/a%4g", "/a\\b", "/a?",
                                           "/a?&", "/a?=b", "/a?b=1&b=2", "/a?b=1&%62=2", "/a?b=1&", "/a?b=\"",
                                           "/a?b#c", "/" + std::string(2048, 'a'),
                                           "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
                                           "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"));

struct Head : ::testing::Test {
  Request request;
  Result<void> read(const std::string& method, const std::string& target, Headers headers = {}) {
    request = Request{};
    request.headers = std::move(headers);
    return read_head(request, method, target);
  }
};

TEST_F(Head, FillsARequestIn) {
  ASSERT_TRUE(read("DELETE", "/a?b=c",
                   {{"x-request-id", "id.1"}, {"accept", "a"}, {"host", "h"}, {"accept", "b"}, {"accept", "c"}}));
  EXPECT_EQ(request.method, Method::del);
  EXPECT_EQ(request.path, "/a");
  EXPECT_EQ(request.query.at("b"), "c");
  EXPECT_EQ(request.request_id, "id.1");
  EXPECT_EQ(request.header("accept"), "a, b, c");
  EXPECT_EQ(request.headers.size(), 3U);
  EXPECT_FALSE(request.header("x-none"));
}

TEST_F(Head, JoinsCookiesTheirWay) {
  ASSERT_TRUE(read("GET", "/", {{"cookie", "a=1"}, {"cookie", "b=2"}}));
  EXPECT_EQ(request.header("cookie"), "a=1; b=2");
}

TEST_F(Head, RefusesWhatMayNotRepeat) {
  for (const std::string name :
       {"host", "content-length", "content-type", "authorization", "content-digest", "x-request-id"}) {
    const auto result = read("GET", "/", {{name, "1"}, {"a", "b"}, {name, "1"}});
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().reason, "header-repeated");
    EXPECT_EQ(result.error().param, "header " + name);
    EXPECT_FALSE(request.request_id.empty());
  }
}

TEST_F(Head, KnowsFiveMethodsExactly) {
  for (const std::string method : {"GET", "HEAD", "PUT", "POST", "DELETE"}) {
    ASSERT_TRUE(read(method, "/"));
    EXPECT_EQ(to_string(request.method), method);
  }
  for (const std::string method : {"", "get", "PATCH", "CONNECT", "OPTIONS", "TRACE"}) {
    const auto result = read(method, "/");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().reason, "method-unknown");
  }
}

TEST_F(Head, MakesDifferentRequestIds) {
  ASSERT_TRUE(read("GET", "/"));
  const std::string first = request.request_id;
  for (const std::string bad : {"", "a b", "a\"b", "\xe2\x82\xac"}) {
    ASSERT_TRUE(read("GET", "/", {{"x-request-id", bad}}));
    EXPECT_NE(request.request_id, first);
    EXPECT_NE(request.request_id, bad);
  }
  ASSERT_TRUE(read("GET", "/", {{"x-request-id", std::string(64, 'a')}}));
  EXPECT_EQ(request.request_id, std::string(64, 'a'));
  ASSERT_TRUE(read("GET", "/", {{"x-request-id", std::string(65, 'a')}}));
  EXPECT_NE(request.request_id, std::string(65, 'a'));
}

TEST_F(Head, ReadsAContentLengthStrictly) {
  ASSERT_TRUE(read("GET", "/", {{"content-length", "18446744073709551615"}}));
  EXPECT_EQ(**content_length(request), ~std::uint64_t{0});
  ASSERT_TRUE(read("GET", "/"));
  EXPECT_FALSE(content_length(request)->has_value());
  for (const std::string bad : {"", "-1", "+1", "1a", " 1", "1 ", "0x1", "18446744073709551616", "1,1"}) {
    ASSERT_TRUE(read("GET", "/", {{"content-length", bad}}));
    const auto length = content_length(request);
    ASSERT_FALSE(length) << bad;
    EXPECT_EQ(length.error().reason, "content-length-malformed");
  }
}

}  // namespace
}  // namespace avseal::http
