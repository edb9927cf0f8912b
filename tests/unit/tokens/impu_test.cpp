#include "tokens/impu.hpp"

#include <gtest/gtest.h>

namespace avseal::tokens {
namespace {

struct Row {
  std::string text;
  std::string canonical;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.text;
}

class Canonical : public ::testing::TestWithParam<Row> {};
TEST_P(Canonical, form) {
  const auto impu = Impu::parse(GetParam().text);
  ASSERT_TRUE(impu) << impu.error().detail;
  EXPECT_EQ(impu->canonical(), GetParam().canonical);
  EXPECT_EQ(Impu::parse(impu->canonical()).value(), *impu) << "not stable";
}
INSTANTIATE_TEST_SUITE_P(
    table, Canonical,
    ::testing::Values(
        Row{"tel:+1-703-555.0001", "tel:+17035550001"}, Row{"TEL:+1(703)5550001", "tel:+17035550001"},
        Row{"tel:+17035550001;npdi;rn=+1703", "tel:+17035550001"},
        Row{"sip:+17035550001@h;user=phone", "tel:+17035550001"},
        Row{"sip:+1-703-555-0001@A.example:5070;x=y;USER=Phone?a=b", "tel:+17035550001"},
        Row{"sips:+17035550001@h;user=phone", "tel:+17035550001"},
        Row{"sip:+17035550001;npdi@h;user=phone", "tel:+17035550001"}, Row{"sip:+17035550001@h", "sip:+17035550001@h"},
        Row{"SIP:Alice@A.Example:5060;x=y", "sip:Alice@a.example"}, Row{"sip:alice@a.example.", "sip:alice@a.example"},
        Row{"sip:alice@a.example:5070", "sip:alice@a.example:5070"},
        Row{"sip:alice@a.example:05060", "sip:alice@a.example"}, Row{"sips:alice@a.example", "sips:alice@a.example"},
        Row{"sips:alice@a.example:5061", "sips:alice@a.example"},
        Row{"sips:alice@a.example:5060", "sips:alice@a.example:5060"},
        Row{"sip:alice@a.example?Subject=x", "sip:alice@a.example"},
        Row{"sip:%61lice@a.example", "sip:alice@a.example"}, Row{"sip:a%3bb@a.example", "sip:a%3Bb@a.example"},
        Row{"sip:a;b@a.example", "sip:a;b@a.example"}, Row{"sip:a%2Db@a.example", "sip:a-b@a.example"},
        Row{"sip:%c3%a9@a.example", "sip:%C3%A9@a.example"}, Row{"sip:alice@192.0.2.1", "sip:alice@192.0.2.1"},
        Row{"sip:alice@a.example;user=ip", "sip:alice@a.example"}));

class Refused : public ::testing::TestWithParam<std::string> {};
TEST_P(Refused, for_a_reason) {
  const auto impu = Impu::parse(GetParam());
  ASSERT_FALSE(impu) << impu->canonical();
  EXPECT_EQ(impu.error().reason, "impu-invalid");
}
INSTANTIATE_TEST_SUITE_P(
    table, Refused,
    ::testing::Values("", "alice", "alice@a.example", "http://a.example", "urn:service:sos", "sip:", "sip:a.example",
                      "sip:@a.example", "sip:alice@", "sip:alice@.", "sip:alice:secret@a.example", "sip:a%b@a.example",
                      "sip:a%4@a.example", "sip:a%00b@a.example", "sip:a%0Ab@a.example", "sip:a b@a.example",
                      "sip:al\xC3\xA9@a.example", "sip:alice@b@a.example", "sip:alice@a..example",
                      "sip:alice@a.example..", "sip:alice@-a.example", "sip:alice@a-.example", "sip:alice@a_b.example",
                      "sip:alice@[::1]", "sip:alice@a.example:", "sip:alice@a.example:0", "sip:alice@a.example:65536",
                      "sip:alice@a.example:x", "sip:alice@a.example;", "sip:alice@a.example;=x", "sip:\"a\"@a.example",
                      "sip:<a>@a.example", "tel:7035550001", "tel:7035550001;phone-context=+1", "tel:+",
                      "tel:", "tel:+1703555000112345", "tel:+1703x", "tel:+1*2", "tel:+1703;ext=5", "tel:+1703;isub=5",
                      "sip:7035550001@h;user=phone", "sip:alice@h;user=phone", "sip:+1703;ext=9@h;user=phone",
                      "sip:" + std::string(250, 'a') + "@a.example"));

TEST(ImpuType, parts) {
  const Impu tel = Impu::parse("tel:+17035550001").value();
  EXPECT_TRUE(tel.is_tel());
  EXPECT_EQ(tel.tn(), "17035550001");
  EXPECT_EQ(tel.host(), "");
  const Impu sip = Impu::parse("sip:alice@A.example:5070").value();
  EXPECT_FALSE(sip.is_tel());
  EXPECT_EQ(sip.tn(), "");
  EXPECT_EQ(sip.host(), "a.example");
  EXPECT_NE(sip, tel);
}

TEST(Tn, canonical_form) {
  EXPECT_EQ(canonical_tn("+1 703").has_error(), true);
  EXPECT_EQ(canonical_tn("+1-(703).555").value(), "1703555");
  EXPECT_EQ(canonical_tn("12155551212").value(), "12155551212");
  EXPECT_EQ(canonical_tn("*67#").value(), "*67#");
  for (const char* text : {"", "+", "-", "1234567890123456", "+*67", "++1", "1+1", "12a"}) {
    const auto tn = canonical_tn(text);
    ASSERT_FALSE(tn) << text;
    EXPECT_EQ(tn.error().reason, "tn-invalid");
  }
}

TEST(Ids, are_printable_and_bounded) {
  EXPECT_EQ(check_avatar_id("urn:uuid:123e4567-e89b-12d3-a456-426655440000").value().size(), 45U);
  EXPECT_TRUE(check_avatar_id("x"));
  EXPECT_TRUE(check_avatar_id(std::string(255, 'x')));
  for (const std::string& text : {std::string(), std::string(256, 'x'), std::string("a b"), std::string("a\"b"),
                                  std::string("a\\b"), std::string("<a"), std::string("a>"), std::string("a\n"),
                                  std::string("\xC3\xA9"), std::string("a\0b", 3), std::string("\x7F")}) {
    const auto avatar = check_avatar_id(text);
    ASSERT_FALSE(avatar);
    EXPECT_EQ(avatar.error().reason, "avatar-id-invalid");
    const auto application = check_application_id(text);
    ASSERT_FALSE(application);
    EXPECT_EQ(application.error().reason, "application-id-invalid");
  }
}

}  // namespace
}  // namespace avseal::tokens
