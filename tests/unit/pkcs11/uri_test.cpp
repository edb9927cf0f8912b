#include "pkcs11/uri.hpp"

#include <cstring>

#include <gtest/gtest.h>

namespace avseal::pkcs11 {
namespace {

CK_TOKEN_INFO token_info(std::string_view label, std::string_view serial) {
  CK_TOKEN_INFO info{};
  std::memset(info.label, ' ', sizeof info.label);
  std::memset(info.serialNumber, ' ', sizeof info.serialNumber);
  std::memset(info.manufacturerID, ' ', sizeof info.manufacturerID);
  std::memset(info.model, ' ', sizeof info.model);
  std::memcpy(info.label, label.data(), label.size());
  std::memcpy(info.serialNumber, serial.data(), serial.size());
  return info;
}

TEST(Uri, ReadsTokenAndObject) {
  const auto uri = Uri::parse("pkcs11:token=My%20token;serial=0a1b;object=avatar-id;id=%01%ff;type=private");
  ASSERT_TRUE(uri) << uri.error().detail;
  EXPECT_EQ(uri->token, "My token");
  EXPECT_EQ(uri->serial, "0a1b");
  EXPECT_EQ(uri->object, "avatar-id");
  EXPECT_EQ(uri->id, (Bytes{0x01, 0xff}));
  EXPECT_FALSE(uri->model);
}

TEST(Uri, RefusesWhatIsNotOne) {
  for (const char* text : {"", "pkcs11", "pkcs12:token=a", "token=a", "pkcs11:token", "pkcs11:token=%zz",
                           "pkcs11:token=a;token=b", "pkcs11:id=%0"}) {
    const auto uri = Uri::parse(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error().reason, "uri-invalid");
  }
  EXPECT_FALSE(Uri::parse("pkcs11:token=" + std::string(2000, 'a')));
  EXPECT_FALSE(Uri::parse(std::string_view("pkcs11:token=a\0b", 16)));
}

TEST(Uri, RefusesSlotsPinsModulesAndUnknownAttributes) {
  for (const char* text :
       {"pkcs11:slot-id=3", "pkcs11:slot-description=x", "pkcs11:slot-manufacturer=x", "pkcs11:token=a?pin-value=1234",
        "pkcs11:token=a?pin-source=file:/pin", "pkcs11:token=a?module-path=/x.so", "pkcs11:token=a?module-name=x",
        "pkcs11:token=a;x-unknown=1", "pkcs11:token=a;colour=red", "pkcs11:object=a;type=cert",
        "pkcs11:object=a;type=public"}) {
    EXPECT_FALSE(Uri::parse(text)) << text;
  }
}

TEST(Uri, DoesNotRepeatAPinInItsError) {
  const auto uri = Uri::parse("pkcs11:token=a?pin-value=hunter2");
  ASSERT_FALSE(uri);
  EXPECT_EQ(uri.error().detail.find("hunter2"), std::string::npos);
}

TEST(Uri, ATokenIsNamedByLabelOrSerial) {
  EXPECT_TRUE(Uri::parse_token("pkcs11:token=a"));
  EXPECT_TRUE(Uri::parse_token("pkcs11:serial=1"));
  EXPECT_FALSE(Uri::parse_token("pkcs11:"));
  EXPECT_FALSE(Uri::parse_token("pkcs11:model=SoftHSM%20v2"));
  EXPECT_FALSE(Uri::parse_token("pkcs11:token=a;object=b"));
}

TEST(Uri, AKeyIsNamedByLabelOrId) {
  EXPECT_TRUE(Uri::parse_key("pkcs11:object=a"));
  EXPECT_TRUE(Uri::parse_key("pkcs11:id=%01"));
  EXPECT_FALSE(Uri::parse_key("pkcs11:token=a"));
  EXPECT_FALSE(Uri::parse_key("pkcs11:object="));
  EXPECT_FALSE(Uri::parse_key("pkcs11:object=a;id="));
}

TEST(Uri, MatchesEveryAttributeThatIsGiven) {
  const CK_TOKEN_INFO info = token_info("avseal", "42");
  EXPECT_TRUE(Uri::parse("pkcs11:token=avseal")->matches(info));
  EXPECT_TRUE(Uri::parse("pkcs11:token=avseal;serial=42")->matches(info));
  EXPECT_FALSE(Uri::parse("pkcs11:token=avseal;serial=43")->matches(info));
  EXPECT_FALSE(Uri::parse("pkcs11:token=avsea")->matches(info));
  EXPECT_FALSE(Uri::parse("pkcs11:token=avseal;model=X")->matches(info));
}

}  // namespace
}  // namespace avseal::pkcs11
