#include "http/idempotency_key.hpp"

#include <gtest/gtest.h>

namespace avseal::http {
namespace {

Result<std::optional<std::string>> parse(std::string value) {
  Request request;
  request.headers.emplace_back("idempotency-key", std::move(value));
  return idempotency_key(request);
}

TEST(IdempotencyKey, IsAQuotedString) {
  EXPECT_EQ(idempotency_key(Request{}).value(), std::nullopt);
  EXPECT_EQ(parse("\"8e03978e-40d5\"").value(), "8e03978e-40d5");
  EXPECT_EQ(parse("\" ~\"").value(), " ~");
  EXPECT_EQ(parse(R"("a\"b\\c")").value(), R"(a"b\c)");
  EXPECT_EQ(parse("\"" + std::string(64, 'k') + "\"").value(), std::string(64, 'k'));
}

struct BadKey : ::testing::TestWithParam<std::string> {};

TEST_P(BadKey, IsRefused) {
  const auto key = parse(GetParam());
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().reason, "idempotency-key-invalid");
  EXPECT_EQ(key.error().category, Category::bad_request);
  EXPECT_EQ(key.error().param, "header Idempotency-Key");
}

INSTANTIATE_TEST_SUITE_P(All, BadKey,
                         ::testing::Values("", "\"", "\"\"", "key", "\"key", "key\"", "\"a\"b\"", "\"a\", \"b\"",
                                           "\"key\";a=1", "\"key\" ", "'key'", R"("key\")", R"("\k")", "\"\t\"",
                                           "\"\x7f\"", "\"\xc3\xa4\"", "\"" + std::string(65, 'k') + "\"",
                                           "\"" + std::string(4000, 'k') + "\""));

}  // namespace
}  // namespace avseal::http
