#include "tpm/errors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace avseal::tpm {
namespace {

struct Case {
  TSS2_RC rc;
  std::string_view reason;
  std::string_view words;
};

class ErrorsTest : public ::testing::TestWithParam<Case> {};

TEST_P(ErrorsTest, NamesTheFailureAndWhatToDo) {
  const Error error = errors::from_rc(GetParam().rc, "TPM2_Example");
  EXPECT_EQ(error.reason, GetParam().reason);
  EXPECT_THAT(error.detail, ::testing::StartsWith("TPM2_Example: "));
  EXPECT_THAT(error.detail, ::testing::HasSubstr(std::string(GetParam().words)));
}

INSTANTIATE_TEST_SUITE_P(
    Codes, ErrorsTest,
    ::testing::Values(Case{0x921, "tpm-lockout", "tpm2_dictionarylockout"},
                      Case{0xB0921, "tpm-lockout", "tpm2_dictionarylockout"},  // through tabrmd
                      Case{0x902, "tpm-slots-exhausted", "tpm2_flushcontext"},
                      Case{0xB0902, "tpm-slots-exhausted", "tpm2_flushcontext"},
                      Case{0x903, "tpm-slots-exhausted", "session"}, Case{0x98E, "tpm-auth-refused", "auth file"},
                      Case{0x9A2, "tpm-auth-refused", "auth file"}, Case{0x1DF, "tpm-blob-refused", "corrupted"},
                      Case{0x922, "tpm-busy", "try again"}, Case{0x920, "tpm-busy", "rate"},
                      Case{0x923, "tpm-busy", "not ready"}, Case{0x14B, "tpm-nv-full", "persistent"},
                      Case{0x901, "tpm-state-lost", "too old"}, Case{0x18B, "tpm-state-lost", "reset"},
                      Case{0x910, "tpm-state-lost", "reset"}, Case{0x918, "tpm-state-lost", "reset"},
                      Case{0x184, "tpm-state-lost", "reset"},  // VALUE of handle 1
                      Case{0x1C4, "tpm-refused", "0x1C4"},     // VALUE of parameter 1
                      Case{0x101, "tpm-failure-mode", "power-cycle"}, Case{0x100, "tpm-not-started", "startup-clear"},
                      Case{0x185, "tpm-hierarchy-disabled", "firmware"}, Case{0x143, "tpm-unsupported", "implement"},
                      Case{0xA000A, "tpm-transport", "/dev/tpmrm0"}, Case{0xA0008, "tpm-transport", "/dev/tpmrm0"},
                      Case{0x70007, "tpm-transport", "stuck"}, Case{0x8000B, "tpm-refused", "software stack"}));

TEST(ErrorsTest, OnlyALostTpmNeedsANewContext) {
  EXPECT_TRUE(needs_new_context(errors::from_rc(0xA000A, "x")));
  EXPECT_TRUE(needs_new_context(errors::from_rc(0x910, "x")));
  EXPECT_FALSE(needs_new_context(errors::from_rc(0x9A2, "x")));
  EXPECT_FALSE(needs_new_context(errors::from_rc(0x921, "x")));
}

TEST(ErrorsTest, BusyCodesAreRetriedWhateverTheLayer) {
  EXPECT_TRUE(is_busy(0x922));
  EXPECT_TRUE(is_busy(0xB0922));
  EXPECT_TRUE(is_busy(0x904));
  EXPECT_FALSE(is_busy(0x902));
  EXPECT_FALSE(is_busy(0));
  EXPECT_FALSE(is_busy(0xA0922));
}

}  // namespace
}  // namespace avseal::tpm
