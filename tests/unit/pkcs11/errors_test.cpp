#include "pkcs11/errors.hpp"

#include <gtest/gtest.h>

#include "pkcs11/key_kind.hpp"

namespace avseal::pkcs11 {
namespace {

TEST(Errors, NameTheFunctionTheCkrAndTheAdvice) {
  const Error error = errors::call_failed("C_Sign", CKR_DEVICE_ERROR);
  EXPECT_EQ(error.detail, "C_Sign failed with CKR_DEVICE_ERROR; check that the HSM is reachable and its token present");
  EXPECT_EQ(error.category, Category::unavailable);
}

TEST(Errors, SayWhatIsLost) {
  for (const CK_RV rv : {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID,
                         CKR_OBJECT_HANDLE_INVALID}) {
    EXPECT_EQ(errors::call_failed("C_Sign", rv).reason, hsm_session_lost) << ckr_name(rv);
  }
  for (const CK_RV rv : {CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_CRYPTOKI_NOT_INITIALIZED}) {
    EXPECT_EQ(errors::call_failed("C_Sign", rv).reason, hsm_device_lost) << ckr_name(rv);
  }
  EXPECT_EQ(errors::call_failed("C_Sign", CKR_FUNCTION_FAILED).reason, hsm_error);
}

TEST(Errors, UnknownCodesAreNumbers) {
  EXPECT_EQ(ckr_name(CKR_VENDOR_DEFINED | 5), "CKR_VENDOR_DEFINED");
  EXPECT_EQ(ckr_name(0x7ffffff), "CKR_UNKNOWN");
  EXPECT_NE(errors::call_failed("C_Sign", 0x7ffffff).detail.find("134217727"), std::string::npos);
}

TEST(KeyKind, NamesComeBack) {
  for (const KeyKind kind : all_key_kinds) EXPECT_EQ(*parse_key_kind(to_string(kind)), kind);
  const auto unknown = parse_key_kind("avatar");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason, "kind-unknown");
  EXPECT_NE(unknown.error().detail.find("ue-ca"), std::string::npos);
}

}  // namespace
}  // namespace avseal::pkcs11
