#include "tokens/json.hpp"

#include <gtest/gtest.h>

namespace avseal::tokens {
namespace {

std::string_view reason_of(std::string_view text, JsonLimits limits = {}) {
  const auto parsed = parse_json(text, limits);
  return parsed ? "ok" : parsed.error().reason;
}

TEST(ParseJson, accepts_one_value_with_white_space_around_it) {
  EXPECT_EQ(reason_of(" {\"a\":[1,2.5,\"x\",true,null]}\r\n"), "ok");
  EXPECT_EQ(reason_of("\"text\""), "ok");
  EXPECT_EQ(reason_of("{}"), "ok");
}

TEST(ParseJson, refuses_what_is_not_RFC_8259) {
  for (const char* text :
       {"",       " ",       "{",           "{\"a\":1,}",     "[1,]",      "{a:1}", "{'a':1}", "01",  "+1",
        ".5",     "1.",      "NaN",         "Infinity",       "nul",       "True",  "{} {}",   "{}x", "// c\n{}",
        "\"\t\"", "\"\\x\"", "\"\\ud800\"", "\xEF\xBB\xBF{}", "{\"a\" 1}", "[1 2]"}) {
    EXPECT_EQ(reason_of(text), "json-malformed") << text;
  }
}

TEST(ParseJson, refuses_invalid_UTF_8) {
  for (const char* text : {"\"\xFF\"", "\"\xC3\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "{\"\xFE\":1}"}) {
    EXPECT_EQ(reason_of(text), "json-malformed");
  }
}

TEST(ParseJson, refuses_duplicate_members_at_any_depth) {
  EXPECT_EQ(reason_of(R"({"a":1,"a":1})"), "json-duplicate-member");
  EXPECT_EQ(reason_of(R"({"a":1,"b":2,"a":3})"), "json-duplicate-member");
  EXPECT_EQ(reason_of(R"([{"x":[{"a":1,"\u0061":2}]}])"), "json-duplicate-member");
  EXPECT_EQ(reason_of(R"({"a":{"b":1,"b":2},"a":{}})"), "json-duplicate-member");
  EXPECT_EQ(reason_of(R"({"a":{"b":1},"b":{"a":1}})"), "ok");
}

TEST(ParseJson, duplicate_found_in_a_large_object) {
  std::string text = "{";
  for (int i = 0; i < 2000; ++i) text += "\"m" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  EXPECT_EQ(reason_of(text + "\"m2000\":0}"), "ok");
  EXPECT_EQ(reason_of(text + "\"m1999\":0}"), "json-duplicate-member");
}

TEST(ParseJson, bounds_size_and_depth) {
  EXPECT_EQ(reason_of("[1]", {.size = 3, .depth = 16}), "ok");
  EXPECT_EQ(reason_of("[1] ", {.size = 3, .depth = 16}), "json-too-large");
  EXPECT_EQ(reason_of("[[1]]", {.size = 100, .depth = 2}), "ok");
  EXPECT_EQ(reason_of("[[[1]]]", {.size = 100, .depth = 2}), "json-malformed");
  EXPECT_EQ(reason_of(std::string(60000, '[')), "json-malformed");
}

TEST(CanonicalJson, sorts_by_code_point_without_white_space) {
  const auto value =
      parse_json(R"( { "b" : [ 2 , { "z":1, "a":null } ] , "a" : true, "B":-5, "é":"/\u0001\"", "" : 0 } )");
  EXPECT_EQ(canonical_json(value.value()),
            "{\"\":0,\"B\":-5,\"a\":true,\"b\":[2,{\"a\":null,\"z\":1}],\"é\":\"/\\u0001\\\"\"}");
}

TEST(CanonicalJson, of_empty_containers) {
  EXPECT_EQ(canonical_json(parse_json("[[],{},[{}]]").value()), "[[],{},[{}]]");
}

TEST(CanonicalJson, sample_of_RFC_8225_section_9) {
  const auto value = parse_json(
      R"({"orig":{"tn":"12155551212"},"iat":1443208345,"dest":{"uri":["sip:alice@example.com"],"tn":["12155551213"]}})");
  EXPECT_EQ(
      canonical_json(value.value()),
      R"({"dest":{"tn":["12155551213"],"uri":["sip:alice@example.com"]},"iat":1443208345,"orig":{"tn":"12155551212"}})");
}

TEST(CanonicalJson, fractions_are_found_before_and_abort_otherwise) {
  EXPECT_TRUE(has_fraction(parse_json(R"({"a":[1,{"b":1.5}]})").value()));
  EXPECT_TRUE(has_fraction(parse_json("1e2").value()));
  EXPECT_FALSE(has_fraction(parse_json(R"({"a":[1,{"b":"1.5"}]})").value()));
  EXPECT_DEATH(canonical_json(json::value(1.5)), "");
}

class Reader : public ::testing::Test {
 protected:
  json::value value =
      parse_json(
          R"({"s":"x","i":-7,"u":18446744073709551615,"d":1.0,"b":true,"o":{"n":1,"m":2},"a":[1,"x"],"t":["x","y"],"n":null,"a/b~c":1})")
          .value();
  ObjectReader reader = ObjectReader::open(value).value();

  template <class T>
  void expect_error(const Result<T>& result, std::string_view reason, std::string_view param) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().reason, reason);
    EXPECT_EQ(result.error().param, param);
  }
};

TEST_F(Reader, reads_each_type) {
  EXPECT_EQ(reader.string("s").value(), "x");
  EXPECT_EQ(reader.integer("i").value(), -7);
  EXPECT_TRUE(reader.boolean("b").value());
  EXPECT_EQ(reader.object("o").value().integer("n").value(), 1);
  EXPECT_EQ(reader.array("a").value()->size(), 2U);
  EXPECT_EQ(reader.strings("t").value(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(reader.optional_string("s").value(), "x");
  EXPECT_TRUE(reader.has("n"));
  EXPECT_FALSE(reader.has("zz"));
}

TEST_F(Reader, absent_optional_members_are_no_errors) {
  EXPECT_EQ(reader.optional_string("zz").value(), std::nullopt);
  EXPECT_EQ(reader.optional_integer("zz").value(), std::nullopt);
  EXPECT_FALSE(reader.optional_object("zz").value());
  EXPECT_EQ(reader.optional_strings("zz").value(), std::nullopt);
}

TEST_F(Reader, names_the_missing_member) {
  expect_error(reader.string("zz"), "member-missing", "/zz");
  expect_error(reader.integer("zz"), "member-missing", "/zz");
  expect_error(reader.boolean("zz"), "member-missing", "/zz");
  expect_error(reader.object("zz"), "member-missing", "/zz");
  expect_error(reader.array("zz"), "member-missing", "/zz");
  expect_error(reader.strings("zz"), "member-missing", "/zz");
}

TEST_F(Reader, refuses_other_types_null_included) {
  expect_error(reader.string("i"), "member-type", "/i");
  expect_error(reader.string("n"), "member-type", "/n");
  expect_error(reader.integer("s"), "member-type", "/s");
  expect_error(reader.integer("d"), "member-type", "/d");
  expect_error(reader.integer("u"), "member-type", "/u");
  expect_error(reader.boolean("i"), "member-type", "/i");
  expect_error(reader.object("a"), "member-type", "/a");
  expect_error(reader.array("o"), "member-type", "/o");
  expect_error(reader.strings("a"), "member-type", "/a/0");
  expect_error(reader.optional_string("n"), "member-type", "/n");
  expect_error(ObjectReader::open(json::value(json::array{}), "/q"), "member-type", "/q");
}

TEST_F(Reader, finish_refuses_members_that_were_not_asked_for) {
  auto inner = reader.object("o").value();
  ASSERT_TRUE(inner.integer("n"));
  expect_error(inner.finish(), "member-unknown", "/o/m");
  ASSERT_TRUE(inner.integer("m"));
  EXPECT_TRUE(inner.finish());
}

TEST_F(Reader, pointers_are_escaped) {
  EXPECT_EQ(reader.pointer_to("a/b~c"), "/a~1b~0c");
}

}  // namespace
}  // namespace avseal::tokens
