#include "fixture.hpp"
#include "pkcs11/errors.hpp"
#include "pkcs11/pin.hpp"

namespace avseal::pkcs11 {
namespace {

TEST(Module, NamesWhatCannotBeLoaded) {
  const auto missing = Module::load("/nonexistent/module.so");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, "module-unusable");
  const auto other = Module::load("libsqlite3.so.0");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().detail.find("C_GetFunctionList"), std::string::npos);
}

TEST_F(TokenTest, ASecondLoadDoesNotFinaliseTheFirst) {
  {
    const auto second = Module::load(softhsm);
    ASSERT_TRUE(second) << second.error().detail;
  }
  EXPECT_TRUE(Token::find(module, *Uri::parse_token("pkcs11:token=test")));
}

TEST_F(TokenTest, FindsATokenByLabelAndSerial) {
  const auto by_label = Token::find(module, *Uri::parse_token("pkcs11:token=test"));
  ASSERT_TRUE(by_label);
  const auto by_serial = Token::find(module, *Uri::parse_token("pkcs11:serial=" + by_label->serial()));
  ASSERT_TRUE(by_serial);
  EXPECT_EQ(by_serial->slot(), by_label->slot());
}

TEST_F(TokenTest, AMissingTokenIsNamedWithThosePresent) {
  const auto missing = Token::find(module, *Uri::parse_token("pkcs11:token=other"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, "token-not-present");
  EXPECT_NE(missing.error().detail.find("\"test\""), std::string::npos);
}

TEST_F(TokenTest, TheSameLabelIsNotInitialisedTwice) {
  const auto again = Token::init(module, "test", secret("so-87654321"), secret("1234-user"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, "token-exists");
}

TEST_F(TokenTest, ALabelHasOneTo32Bytes) {
  EXPECT_FALSE(Token::init(module, "", secret("so-87654321"), secret("1234-user")));
  EXPECT_FALSE(Token::init(module, std::string(33, 'x'), secret("so-87654321"), secret("1234-user")));
}

TEST_F(TokenTest, AShortPinIsRefusedByName) {
  const auto refused = Token::init(module, "short", secret("so-87654321"), secret("1"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("CKR_PIN_LEN_RANGE"), std::string::npos) << refused.error().detail;
}

TEST_F(TokenTest, LoggingInTwiceIsSuccess) {
  Session first = logged_in();
  EXPECT_TRUE(first.login(secret("1234-user")));
}

TEST_F(TokenTest, AWrongPinIsTriedOnceAndThenNobodyTries) {
  auto session = Session::open(*token);
  ASSERT_TRUE(session);
  const auto wrong = session->login(secret("wrong-pin"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().reason, "pin-incorrect");
  EXPECT_EQ(wrong.error().detail.find("wrong-pin"), std::string::npos);

  const auto right = session->login(secret("1234-user"));
  ASSERT_FALSE(right);
  EXPECT_EQ(right.error().reason, "pin-guarded");
  EXPECT_NE(right.error().detail.find("COUNT_LOW"), std::string::npos);

  ASSERT_TRUE(session->login(secret("1234-user"), Session::Guard::spend_one));
  EXPECT_EQ(*token->flags() & CKF_USER_PIN_COUNT_LOW, 0U);
}

TEST_F(TokenTest, OffersOnlyWhatTheTokenHas) {
  EXPECT_TRUE(*token->offers(CKM_ECDSA, CKF_SIGN));
  EXPECT_FALSE(*token->offers(CKM_ECDSA, CKF_ENCRYPT));
  EXPECT_FALSE(*token->offers(CKM_VENDOR_DEFINED | 1, CKF_SIGN));
}

TEST_F(TokenTest, AnInvalidHandleIsALostSession) {
  Session session = logged_in();
  const auto value = session.attribute(0x7fffffff, CKA_LABEL);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().reason, hsm_session_lost);
}

TEST(Pin, IsReadWithoutItsNewline) {
  const TempDir directory;
  const auto pin = read_pin_file(directory.write("pin", "1234\n"));
  ASSERT_TRUE(pin) << pin.error().detail;
  EXPECT_TRUE(pin->equals(as_bytes("1234")));
}

TEST(Pin, RefusesUnusableFiles) {
  const TempDir directory;
  for (const auto& file : {directory.path() / "absent", directory.path(), directory.write("empty", ""),
                           directory.write("newline", "\n"), directory.write("long", std::string(300, '1')),
                           directory.write("public", "1234", std::filesystem::perms(0604))}) {
    const auto pin = read_pin_file(file);
    ASSERT_FALSE(pin) << file;
    EXPECT_EQ(pin.error().reason, "pin-unreadable");
    EXPECT_NE(pin.error().detail.find(file.string()), std::string::npos);
    EXPECT_EQ(pin.error().detail.find("1234"), std::string::npos);
  }
}

TEST(Pin, CredentialsAreFilesOfTheirDirectory) {
  const TempDir directory;
  directory.write("hsm-pin", "5678");
  unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_FALSE(read_pin_credential("hsm-pin"));
  setenv("CREDENTIALS_DIRECTORY", directory.path().c_str(), 1);
  EXPECT_TRUE(read_pin_credential("hsm-pin")->equals(as_bytes("5678")));
  EXPECT_FALSE(read_pin_credential("../hsm-pin"));
  EXPECT_FALSE(read_pin_credential(""));
  unsetenv("CREDENTIALS_DIRECTORY");
}

}  // namespace
}  // namespace avseal::pkcs11
