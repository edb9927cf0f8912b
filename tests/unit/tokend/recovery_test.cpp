// Each hard case of PKCS#11 that one worker meets, through its socket: what is mended in the process, what ends it and
// with which code, what the client sees.
#include <csignal>

#include <gmock/gmock.h>

#include "fault_fixture.hpp"

namespace avseal::tokend {
namespace {

using faults::Function;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int requests = 200;

TEST_F(FaultTest, LostSessionsAreMendedByOneLogin) {
  const auto worker = start(config_with("sessions = 3\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  for (std::uint32_t round = 1; round <= 3; ++round) {
    rule("invalidate-sessions");
    EXPECT_EQ(sign_many(client, requests), requests) << worker->log();
    EXPECT_EQ(returned(Function::C_Login, CKR_OK), 1 + round);
    const auto reply = client.full(FrameType::sign, "ledger", as_bytes(checkpoint));
    ASSERT_TRUE(reply && reply->value);
    EXPECT_EQ(reply->recoveries, round);
  }
  EXPECT_EQ(calls(Function::C_Initialize), 1U);
  EXPECT_EQ(failed_logins(), 0U);
}

TEST_F(FaultTest, ALogoutIsSeenInTheSessionsStateAndMended) {
  const auto worker = start(config_with("sessions = 3\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("logout");
  EXPECT_EQ(sign_many(client, requests), requests) << worker->log();
  EXPECT_EQ(returned(Function::C_Login, CKR_OK), 2U);
}

TEST_F(FaultTest, ALogoutIsMendedWithoutC_GetSessionInfo) {
  rule("return function=C_GetSessionInfo code=CKR_FUNCTION_NOT_SUPPORTED");
  const auto worker = start(config_with("sessions = 3\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("logout");
  EXPECT_EQ(sign_many(client, requests), requests) << worker->log();
  EXPECT_EQ(returned(Function::C_Login, CKR_OK), 2U);
}

TEST_F(FaultTest, HandlesThatMeanNothingAnyMoreAreFoundAgainWithoutALogin) {
  const auto worker = start(config_with("sessions = 2\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("renumber-objects");
  EXPECT_EQ(sign_many(client, requests), requests) << worker->log();
  EXPECT_EQ(calls(Function::C_Login), 1U);
}

TEST_F(FaultTest, AProbeFindsHandlesThatMeanAnotherKeyAndMendsThem) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("swap-objects");
  const auto wrong = sign(client);
  ASSERT_TRUE(wrong);
  EXPECT_FALSE(public_keys.at("ledger").verify(as_bytes(checkpoint), *wrong));
  EXPECT_TRUE(client.ask(FrameType::probe, "ledger", {}));
  EXPECT_TRUE(signed_and_verified(client)) << worker->log();
}

TEST_F(FaultTest, TheSlotIsResolvedAnew) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("slots shift=7");
  rule("invalidate-sessions");
  EXPECT_TRUE(signed_and_verified(client)) << worker->log();
}

TEST_F(FaultTest, AnActiveOperationCostsTheSessionAndNotTheRequest) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const std::uint64_t opened = calls(Function::C_OpenSession);
  rule("return function=C_SignInit code=CKR_OPERATION_ACTIVE times=1");
  EXPECT_TRUE(signed_and_verified(client)) << worker->log();
  EXPECT_EQ(calls(Function::C_OpenSession), opened + 1);
  EXPECT_EQ(calls(Function::C_Login), 1U);
}

TEST_F(FaultTest, ALostDeviceEndsTheProcessForAFreshOne) {
  for (const char* code : {"CKR_DEVICE_ERROR", "CKR_DEVICE_REMOVED", "CKR_TOKEN_NOT_PRESENT", "CKR_SLOT_ID_INVALID"}) {
    const auto worker = start(config_with({}));
    ASSERT_TRUE(worker->ready()) << worker->log();
    Client client = connect();
    rule(std::string("return function=C_Sign times=1 code=") + code);
    EXPECT_FALSE(sign(client));
    EXPECT_EQ(worker->wait(), 1);
    EXPECT_THAT(worker->log(), HasSubstr(std::string("event=leaving code=1 ckr=") + code));
    clear();
  }
}

TEST_F(FaultTest, ARemovedTokenIsWaitedForByRestarts) {
  const auto config = config_with({});
  const auto worker = start(config);
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("removed");
  EXPECT_FALSE(sign(client));
  EXPECT_EQ(worker->wait(), 1);
  EXPECT_EQ(start(config, "absent")->wait(), 3);
  clear();
  const auto back = start(config, "back");
  EXPECT_TRUE(back->ready()) << back->log();
  EXPECT_EQ(failed_logins(), 0U);
}

TEST_F(FaultTest, AModuleThatCannotBeginIsTriedAgain) {
  rule("return function=C_Initialize code=CKR_DEVICE_ERROR");
  const auto worker = start(config_with({}));
  EXPECT_EQ(worker->wait(), 3);
  EXPECT_THAT(worker->last_line(), HasSubstr("C_Initialize failed with CKR_DEVICE_ERROR"));
}

TEST_F(FaultTest, ATokenThatDoesNotTellItsMechanismsIsAskedAgain) {
  for (const char* code : {"CKR_SLOT_ID_INVALID", "CKR_GENERAL_ERROR"}) {
    rule(std::string("return function=C_GetMechanismInfo code=") + code);
    const auto worker = start(config_with({}), code);
    EXPECT_THAT(worker->wait(), AnyOf(1, 3)) << worker->log();
    EXPECT_THAT(worker->last_line(), HasSubstr(std::string("C_GetMechanismInfo failed with ") + code));
    clear();
  }
}

TEST_F(FaultTest, AFailedCallIsToldAndTheSessionKeptUnlessThatGoesOn) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const std::uint64_t opened = calls(Function::C_OpenSession);
  rule("return function=C_Sign code=CKR_FUNCTION_FAILED times=3 forwarded=yes");
  for (int i = 0; i < 3; ++i) {
    const auto reply = client.full(FrameType::sign, "ledger", as_bytes(checkpoint));
    ASSERT_TRUE(reply && !reply->value);
    EXPECT_EQ(reply->value.error().reason, "hsm-error");
    EXPECT_EQ(reply->ckr, CKR_FUNCTION_FAILED);
  }
  EXPECT_TRUE(signed_and_verified(client));
  EXPECT_EQ(calls(Function::C_OpenSession), opened);
  rule("return function=C_Sign code=CKR_GENERAL_ERROR times=4 forwarded=yes");
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(sign(client));
  EXPECT_TRUE(signed_and_verified(client));
  EXPECT_EQ(calls(Function::C_OpenSession), opened + 1);
}

TEST_F(FaultTest, AnHsmThatKeepsFailingEndsTheProcess) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("return function=C_Sign code=CKR_GENERAL_ERROR forwarded=yes");
  EXPECT_TRUE(eventually([&] { return sign(client).error().reason == "test-end"; }));
  EXPECT_EQ(worker->wait(), 1);
  EXPECT_THAT(worker->last_line(), HasSubstr("calls in a row"));
}

TEST_F(FaultTest, AStormOfLostLoginsEndsTheProcess) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  EXPECT_TRUE(eventually([&] {
    clear();
    rule("invalidate-sessions");
    return !client.full(FrameType::sign, "ledger", as_bytes(checkpoint));
  }));
  EXPECT_EQ(worker->wait(), 1);
  EXPECT_THAT(worker->log(), HasSubstr("reason=recovery-storm"));
}

TEST_F(FaultTest, SessionsThatAreLostAtOnceEndTheProcess) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("return function=C_SignInit code=CKR_SESSION_HANDLE_INVALID");
  EXPECT_TRUE(eventually([&] { return !client.full(FrameType::sign, "ledger", as_bytes(checkpoint)); }));
  EXPECT_EQ(worker->wait(), 1);
  EXPECT_EQ(calls(Function::C_Login), 1U);
}

TEST_F(FaultTest, ARecoveryThatFailsEndsTheProcess) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("return function=C_FindObjectsInit code=CKR_GENERAL_ERROR");
  rule("invalidate-sessions");
  EXPECT_FALSE(sign(client));
  EXPECT_EQ(worker->wait(), 1);
}

TEST_F(FaultTest, AHungCallEndsTheProcess) {
  for (const char* function : {"C_Sign", "C_OpenSession", "C_Login"}) {
    clear();
    const auto worker = start(config_with("call_limit_ms = 1000\n"));
    ASSERT_TRUE(worker->ready()) << worker->log();
    Client client = connect();
    rule(std::string("hang function=") + function);
    rule("invalidate-sessions");
    EXPECT_FALSE(sign(client));
    EXPECT_EQ(worker->wait(), 1);
    EXPECT_THAT(worker->last_line(), HasSubstr("did not return within 1000 ms"));
  }
}

TEST_F(FaultTest, AHangAtTheStartEndsTheProcess) {
  rule("hang function=C_GetTokenInfo");
  const auto worker = start(config_with("call_limit_ms = 1000\n"));
  EXPECT_EQ(worker->wait(), 1);
}

TEST_F(FaultTest, SignaturesThatAreNoneOnTheCurveAreNeverReleased) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  for (const char* form : {"short", "long", "der"}) {
    clear();
    rule(std::string("signature times=1 form=") + form);
    const auto signature = sign(client);
    ASSERT_FALSE(signature) << form;
    EXPECT_EQ(signature.error().reason, "hsm-error");
    EXPECT_TRUE(signed_and_verified(client));
  }
}

TEST_F(FaultTest, ManyFailuresAreFewLines) {
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("return function=C_Sign code=CKR_FUNCTION_FAILED forwarded=yes times=" + std::to_string(requests));
  EXPECT_LT(sign_many(client, requests), requests);
  const std::string log = worker->log();
  int lines = 0;
  for (std::size_t at = log.find("event=hsm-error"); at != std::string::npos;
       at = log.find("event=hsm-error", at + 1)) {
    ++lines;
  }
  EXPECT_GT(lines, 0);
  EXPECT_LT(lines, requests / 10);
}

TEST_F(FaultTest, ALoginThatWasDoneAndAModuleThatWasInitialisedAreTaken) {
  rule("return function=C_Login code=CKR_USER_ALREADY_LOGGED_IN forwarded=yes");
  rule("return function=C_Initialize code=CKR_CRYPTOKI_ALREADY_INITIALIZED forwarded=yes");
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  EXPECT_TRUE(signed_and_verified(client));
  worker->signal(SIGTERM);
  EXPECT_EQ(worker->wait(), 0);
  EXPECT_EQ(calls(Function::C_Finalize), 0U);
}

}  // namespace
}  // namespace avseal::tokend
