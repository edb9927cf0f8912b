#include "audit/scanner.hpp"

#include <gtest/gtest.h>

#include "tokens/json.hpp"

namespace avseal::audit {
namespace {

bool takes(std::string_view text) {
  Scanner scanner(text);
  std::string_view raw;
  return scanner.value(raw) && scanner.end();
}

TEST(ScannerTest, TakesWhatCanonicalJsonWrites) {
  const std::string texts[] = {
      "{}",
      "[]",
      "0",
      "-1",
      "18446744073709551615",
      "-9223372036854775808",
      "true",
      "false",
      "null",
      R"("")",
      R"({"a":[1,{"b":null}],"b":"x"})",
      "\"\x7f /\"",
      "\"\xc3\xa9\xe2\x80\x94\xf0\x9f\x98\x80 and more than eight bytes\"",
      R"("\"\\\b\f\n\r\t\u0000\u001f")",
      R"({"\"":1,"a":2})",
      R"({"":1,"\u0001":2,"!":3})",
  };
  for (const auto& text : texts) {
    EXPECT_TRUE(takes(text)) << text;
    EXPECT_EQ(tokens::canonical_json(tokens::parse_json(text).value()), text);
  }
}

TEST(ScannerTest, RefusesWhatIsNotCanonical) {
  const std::string texts[] = {
      "",
      " {}",
      "{} ",
      "{}{}",
      "{",
      "[1,]",
      "[,1]",
      R"({"a":1,})",
      R"({"a" :1})",
      R"({"b":1,"a":2})",
      R"({"a":1,"a":2})",
      R"({"a":1,"\"":2})",
      R"({"a"})",
      R"({1:2})",
      "01",
      "-0",
      "-01",
      "+1",
      "1.0",
      "1e3",
      "18446744073709551616",
      "-9223372036854775809",
      "tru",
      "nul",
      R"("no end)",
      R"("\u0041")",
      R"("\u000a")",
      R"("\u001F")",
      R"("\/")",
      R"("\)",
      R"("\u00)",
      "\"\n\"",
      "\"\xff\"",
      "\"\xc0\x80\"",
      "\"\xed\xa0\x80\"",
      "\"\xf4\x90\x80\x80\"",
      "\"\xe2\x80\"",
  };
  for (const auto& text : texts) EXPECT_FALSE(takes(text)) << text;
}

TEST(ScannerTest, FindsASpecialByteAtEachPlaceOfAWord) {
  for (std::size_t at = 0; at < 17; ++at) {
    std::string text = '"' + std::string(17, 'x') + '"';
    for (const char c : {'\x01', '"', '\\', '\xff', '\x1f'}) {
      text[1 + at] = c;
      EXPECT_FALSE(takes(text)) << at;
    }
    text[1 + at] = ' ';
    EXPECT_TRUE(takes(text)) << at;
  }
}

TEST(ScannerTest, HasABoundOfDepth) {
  EXPECT_TRUE(takes(std::string(16, '[') + std::string(16, ']')));
  EXPECT_FALSE(takes(std::string(17, '[') + std::string(17, ']')));
  EXPECT_FALSE(takes(std::string(60'000, '[')));
}

TEST(ScannerTest, GivesTheTextOfAnEscapedString) {
  EXPECT_EQ(unescaped("plain"), "plain");
  EXPECT_EQ(unescaped(R"(a\"b\\c\n\u0001)"), "a\"b\\c\n\x01");
}

}  // namespace
}  // namespace avseal::audit
