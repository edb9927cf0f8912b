#include "signing/ms_errors.hpp"

#include <gtest/gtest.h>

#include "site.hpp"

namespace avseal {
namespace {

namespace json = boost::json;

struct Case {
  Category category;
  const char* reason;
  const char* param;
  unsigned status;
  const char* kind;
  const char* id;
  std::vector<std::string> variables;
};

TEST(MsError, EachCategoryHasItsForm) {
  const Case cases[] = {
      {Category::bad_request, "body-missing", "", 400, "serviceException", "SVC4000", {}},
      {Category::bad_request,
       "member-missing",
       "/signingRequest/orig/tn",
       400,
       "serviceException",
       "SVC4001",
       {"orig.tn"}},
      {Category::not_acceptable, "not-acceptable", "", 406, "serviceException", "SVC4002", {"text/html"}},
      {Category::not_found, "route-unknown", "", 404, "serviceException", "SVC4003", {}},
      {Category::unsupported_media_type, "x", "", 415, "serviceException", "SVC4004", {"application/json"}},
      {Category::invalid,
       "origid-invalid",
       "/signingRequest/origid",
       400,
       "serviceException",
       "SVC4005",
       {"origid", "why"}},
      {Category::bad_request, "json-malformed", "", 400, "serviceException", "SVC4006", {"why"}},
      {Category::too_large, "body-too-large", "", 413, "serviceException", "SVC4006", {"why"}},
      {Category::length_required, "x", "", 411, "serviceException", "SVC4007", {}},
      {Category::unauthenticated, "x", "", 401, "policyException", "POL4010", {"why"}},
      {Category::forbidden, "client-out-of-scope", "", 403, "policyException", "POL4030", {"why"}},
      {Category::method_not_allowed, "x", "", 405, "policyException", "POL4050", {}},
      {Category::conflict,
       "idempotency-in-progress",
       "",
       409,
       "serviceException",
       "SVC4090",
       {"idempotency-in-progress"}},
      {Category::unprocessable,
       "idempotency-key-reused",
       "",
       422,
       "serviceException",
       "SVC4220",
       {"idempotency-key-reused"}},
      {Category::too_many_requests,
       "idempotency-keys-exhausted",
       "",
       429,
       "policyException",
       "POL4290",
       {"idempotency-keys-exhausted"}},
      {Category::internal, "x", "", 500, "policyException", "POL5000", {}},
      {Category::unavailable, "hsm-unavailable", "", 503, "serviceException", "SVC5030", {"hsm-unavailable"}},
  };
  http::Request request;
  request.headers = {{"accept", "text/html"}};
  for (const auto& c : cases) {
    const auto response = signing::ms_error(request, errors::make(c.category, c.reason, "why", c.param));
    EXPECT_EQ(response.status, c.status) << c.id;
    const auto body = test::parse(response);
    const auto& kinds = body.at("requestError").as_object();
    ASSERT_TRUE(kinds.contains(c.kind)) << c.id;
    const auto& exception = kinds.at(c.kind).as_object();
    EXPECT_EQ(exception.at("messageId"), c.id);
    EXPECT_EQ(exception.at("reason"), c.reason);
    EXPECT_EQ(json::value_to<std::vector<std::string>>(exception.at("variables")), c.variables) << c.id;
  }
}

std::string header_of(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "absent";
}

TEST(MsError, InternalDetailsStayInside) {
  const http::Request request;
  const auto response = signing::ms_error(request, errors::make(Category::internal, "x", "/var/lib/secret"));
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
}

TEST(RequestId, TheCallersIsEchoedIfPrintable) {
  const std::pair<std::string, std::string> cases[] = {
      {"abc-1", "abc-1"}, {"", "ours"}, {"a b", "ours"}, {"a\nb", "ours"}, {std::string(129, 'a'), "ours"}};
  for (const auto& [given, echoed] : cases) {
    http::Request request;
    request.request_id = "ours";
    request.headers = {{"x-requestid", given}};
    http::Response response;
    signing::echo_request_id(request, response);
    EXPECT_EQ(header_of(response, "x-requestid"), echoed);
  }
}

TEST(Accept, MustAllowJson) {
  const std::pair<const char*, bool> cases[] = {
      {"application/json", true},
      {"*/*", true},
      {"application/*;q=0.1", true},
      {"text/html, Application/JSON;q=0.5", true},
      {"text/html", false},
      {"application/json;q=0", false},
      {"application/json; q=0.0", false},
      {"", false},
      {"text/html, */*;q=0.8", true},
      {",,", false},
  };
  for (const auto& [value, good] : cases) {
    http::Request request;
    request.headers = {{"accept", value}};
    EXPECT_EQ(signing::check_accept(request).has_value(), good) << value;
  }
  EXPECT_TRUE(signing::check_accept(http::Request{}));
}

}  // namespace
}  // namespace avseal
