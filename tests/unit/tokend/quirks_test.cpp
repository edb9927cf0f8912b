// Modules that differ: what the worker finds out by itself, and what each switch of a profile does.
#include <gmock/gmock.h>

#include "fault_fixture.hpp"
#include "pkcs11/errors.hpp"
#include "tokend/profile.hpp"

namespace avseal::tokend {
namespace {

using faults::Function;
using ::testing::HasSubstr;

unsigned sessions_of(const std::filesystem::path& socket) {
  auto client = Client::connect(socket);
  const auto hello = client ? client->greet() : std::nullopt;
  return hello ? hello->sessions : 0;
}

TEST_F(FaultTest, FewerSessionsThanWantedAreUsed) {
  for (const char* code : {"CKR_SESSION_COUNT", "CKR_ARGUMENTS_BAD", "CKR_HOST_MEMORY"}) {
    clear();
    rule(std::string("session-limit max=3 code=") + code);
    const auto worker = start(config_with("sessions = 8\n"));
    ASSERT_TRUE(worker->ready()) << worker->log();
    EXPECT_EQ(sessions_of(socket()), 3U);  // the login's is used too
    Client client = connect();
    EXPECT_EQ(sign_many(client, 100), 100);
    EXPECT_THAT(worker->log(), HasSubstr("event=session-limit wanted=8 open=3"));
    rule("invalidate-sessions");
    EXPECT_EQ(sign_many(client, 100), 100) << worker->log();
  }
}

TEST_F(FaultTest, SessionsThatBecomeFreeAreTaken) {
  rule("session-limit max=2");
  const auto worker = start(config_with("sessions = 4\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(sessions_of(socket()), 2U);
  clear();
  EXPECT_TRUE(eventually([this] { return sessions_of(socket()) == 4; })) << worker->log();
  Client client = connect();
  EXPECT_EQ(sign_many(client, 100), 100);
}

TEST_F(FaultTest, OneSessionIsEnough) {
  rule("session-limit max=1");
  const auto worker = start(config_with("sessions = 4\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(sessions_of(socket()), 1U);
  Client client = connect();
  EXPECT_EQ(sign_many(client, 100), 100);
  rule("invalidate-sessions");
  EXPECT_EQ(sign_many(client, 100), 100) << worker->log();
  rule("logout");
  EXPECT_EQ(sign_many(client, 100), 100) << worker->log();
}

TEST_F(FaultTest, RefusedReadOnlySessionsAreReadWriteFromThenOn) {
  rule("read-only-refused");
  const auto worker = start(config_with("sessions = 4\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(returned(Function::C_OpenSession, CKR_FUNCTION_FAILED), 1U);
  EXPECT_EQ(returned(Function::C_OpenSession, CKR_OK), 5U);
}

TEST_F(FaultTest, TheSwitchReadOnlySessionsSavesTheRefusal) {
  rule("read-only-refused");
  const auto worker = start(config_with("sessions = 4\n", "read_only_sessions = false\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(returned(Function::C_OpenSession, CKR_FUNCTION_FAILED), 0U);
}

TEST_F(FaultTest, AModuleWithoutLocksIsCalledByOneThreadAtATime) {
  rule("no-locking");
  const auto worker = start(config_with("sessions = 4\n", "keepalive_seconds = 1\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(sessions_of(socket()), 1U);
  Client client = connect();
  EXPECT_EQ(sign_many(client, 200), 200);
  rule("invalidate-sessions");
  EXPECT_EQ(sign_many(client, 200), 200);
  EXPECT_EQ(returned(Function::C_Initialize, CKR_CANT_LOCK), 1U);
  EXPECT_EQ(overlaps(), 0U);
}

TEST_F(FaultTest, TheSwitchOsLockingAsksForNone) {
  rule("no-locking");
  const auto worker = start(config_with("sessions = 4\n", "os_locking = false\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(returned(Function::C_Initialize, CKR_CANT_LOCK), 0U);
  EXPECT_EQ(sessions_of(socket()), 1U);
}

TEST_F(FaultTest, HashingInTheHsmIsUsedWhereRawEcdsaIsMissing) {
  rule("no-mechanism mechanism=CKM_ECDSA");
  rule("hashing-ecdsa");
  const auto worker = start(config_with({}));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  EXPECT_TRUE(signed_and_verified(client));
}

TEST_F(FaultTest, HashingInTheHsmIsUsedWhereRawEcdsaIsListedAndRefused) {
  for (const char* code : {"CKR_MECHANISM_INVALID", "CKR_KEY_FUNCTION_NOT_PERMITTED"}) {
    clear();
    rule("hashing-ecdsa");
    rule(std::string("return function=C_SignInit times=1 code=") + code);  // of the first key, with CKM_ECDSA
    const auto worker = start(config_with({}));
    ASSERT_TRUE(worker->ready()) << worker->log();
    Client client = connect();
    const std::string input = jws_input(passport_header);
    const auto signature = client.ask(FrameType::sign, "avatar-id", as_bytes(input));
    ASSERT_TRUE(signature) << signature.error().detail;
    EXPECT_TRUE(public_keys.at("avatar-id").verify(as_bytes(input), *signature));
    EXPECT_TRUE(signed_and_verified(client));
  }
}

TEST_F(FaultTest, TheSwitchEcdsaTriesNothingElse) {
  rule("hashing-ecdsa");
  const auto hashed = start(config_with({}, "ecdsa = \"hashed\"\n"));
  ASSERT_TRUE(hashed->ready()) << hashed->log();
  Client client = connect();
  EXPECT_TRUE(signed_and_verified(client));
  clear();
  // SoftHSM itself has only CKM_ECDSA.
  const auto missing = start(config_with({}, "ecdsa = \"hashed\"\n"), "missing");
  EXPECT_EQ(missing->wait(), 2);
  EXPECT_THAT(missing->last_line(), HasSubstr("it cannot sign"));
  rule("no-mechanism mechanism=CKM_ECDSA");
  rule("hashing-ecdsa");
  EXPECT_EQ(start(config_with({}, "ecdsa = \"raw\"\n"), "raw")->wait(), 2);
}

TEST_F(FaultTest, EveryFormOfAnEcPointIsTheSameKey) {
  for (const char* form : {"der", "raw", "bit-string"}) {
    clear();
    rule(std::string("ec-point form=") + form);
    const auto worker = start(config_with({}));
    ASSERT_TRUE(worker->ready()) << worker->log();
    auto client = Client::connect(socket());
    const auto hello = client->greet();
    ASSERT_TRUE(hello);
    for (const KeyInfo& key : hello->keys) {
      if (key.kind == "dac-kek") continue;
      EXPECT_EQ(key.spki, public_keys.at(key.name).spki()) << form;
    }
  }
}

TEST_F(FaultTest, AnIdleSessionSignsAProbeAndALostOneIsMendedBeforeARequestMeetsIt) {
  const auto worker = start(config_with({}, "keepalive_seconds = 1\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  const std::uint64_t signatures = calls(Function::C_Sign);
  EXPECT_TRUE(eventually([&] { return calls(Function::C_Sign) > signatures; }));
  rule("invalidate-sessions");
  EXPECT_TRUE(eventually([&] { return returned(Function::C_Login, CKR_OK) == 2; })) << worker->log();
  EXPECT_TRUE(eventually([&] { return worker->log().find("event=login-recovered") != std::string::npos; }));
}

TEST_F(FaultTest, TheSwitchKeepaliveKeepsSessionsFromTimingOut) {
  rule("idle-timeout ms=10000");
  const auto worker = start(config_with({}, "keepalive_seconds = 1\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  const std::uint64_t signatures = calls(Function::C_Sign);
  EXPECT_TRUE(eventually([&] { return calls(Function::C_Sign) >= signatures + 4; }));
  Client client = connect();
  EXPECT_TRUE(signed_and_verified(client));
  EXPECT_THAT(worker->log(), ::testing::Not(HasSubstr("event=session-lost key=ledger")));
}

TEST_F(FaultTest, TheSwitchSessionsIsTheDefault) {
  const auto worker = start(config_with({}, "sessions = 3\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  EXPECT_EQ(sessions_of(socket()), 3U);
  const auto told = start(config_with("sessions = 2\n", "sessions = 3\n"), "told");
  ASSERT_TRUE(told->ready()) << told->log();
  EXPECT_EQ(sessions_of(socket("told")), 2U);
}

TEST_F(FaultTest, TheSwitchBusyCodesKeepsSessionAndProcess) {
  const auto worker = start(config_with({}, "busy_codes = [\"CKR_FUNCTION_FAILED\"]\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  const std::uint64_t opened = calls(Function::C_OpenSession);
  rule("return function=C_Sign code=CKR_FUNCTION_FAILED times=40 forwarded=yes");
  for (int i = 0; i < 40; ++i) EXPECT_FALSE(sign(client));
  EXPECT_TRUE(signed_and_verified(client));
  EXPECT_EQ(calls(Function::C_OpenSession), opened);
  EXPECT_THAT(worker->log(), HasSubstr("event=hsm-busy key=ledger ckr=CKR_FUNCTION_FAILED"));
}

TEST_F(FaultTest, TheSwitchSessionLostCodesReplacesTheSession) {
  const auto worker = start(config_with({}, "session_lost_codes = [\"0x80000123\"]\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("return function=C_SignInit code=0x80000123 times=1");
  EXPECT_TRUE(signed_and_verified(client)) << worker->log();
}

TEST_F(FaultTest, TheSwitchDeviceLostCodesEndsTheProcess) {
  const auto worker = start(config_with({}, "device_lost_codes = [\"CKR_FUNCTION_FAILED\"]\n"));
  ASSERT_TRUE(worker->ready()) << worker->log();
  Client client = connect();
  rule("return function=C_Sign code=CKR_FUNCTION_FAILED times=1");
  EXPECT_FALSE(sign(client));
  EXPECT_EQ(worker->wait(), 1);
}

const std::string profile_head =
    "name = \"p\"\ntitle = \"t\"\nstatus = \"verified\"\nsources = [\"s\"]\nmodules = [\"/m.so\"]\n"
    "guidance = [\"g\"]\n";

TEST(Profile, ReadsEveryMember) {
  const auto profile =
      parse_profile(profile_head +
                        "own_log = \"yubihsm-shell\"\n[quirks]\nread_only_sessions = false\nos_locking = false\necdsa "
                        "= \"hashed\"\nsessions = 9\n"
                        "keepalive_seconds = 7\nbusy_codes = [\"CKR_FUNCTION_FAILED\"]\n"
                        "session_lost_codes = [\"0x80000001\"]\ndevice_lost_codes = [\"CKR_GENERAL_ERROR\"]\n",
                    "/x/p.toml");
  ASSERT_TRUE(profile) << profile.error().detail;
  EXPECT_EQ(profile->own_log, "yubihsm-shell");
  EXPECT_FALSE(profile->quirks.read_only_sessions);
  EXPECT_FALSE(profile->quirks.os_locking);
  EXPECT_EQ(profile->quirks.ecdsa, pkcs11::Ecdsa::hashed);
  EXPECT_EQ(profile->quirks.sessions, 9U);
  EXPECT_EQ(profile->quirks.keepalive.count(), 7);
  EXPECT_EQ(profile->quirks.busy_codes, std::vector<CK_RV>{CKR_FUNCTION_FAILED});
  EXPECT_EQ(profile->quirks.session_lost_codes, std::vector<CK_RV>{0x80000001});
  EXPECT_EQ(profile->quirks.device_lost_codes, std::vector<CK_RV>{CKR_GENERAL_ERROR});
}

TEST(Profile, ErrorsBeginWithFileAndLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"name = ", "p.toml:1: "},
      {"name = \"q\"\n", "the file must be q.toml"},
      {"name = \"../p\"\n", "expected at most 32"},
      {profile_head + "unknown = 1\n", "p.toml:7: unknown: is not known here"},
      {profile_head + "[quirks]\nunknown = 1\n", "p.toml:8: unknown: is not known here"},
      {profile_head + "[quirks]\necdsa = \"der\"\n", "ecdsa: expected auto, raw or hashed"},
      {profile_head + "[quirks]\nos_locking = 1\n", "os_locking: expected true or false"},
      {profile_head + "[quirks]\nsessions = 65\n", "sessions: expected an integer from 1 to 64"},
      {profile_head + "[quirks]\nbusy_codes = [\"CKR_OK\"]\n", "is no code that a call fails with"},
      {profile_head + "[quirks]\nbusy_codes = [\"CKR_NONE\"]\n", "is no code that a call fails with"},
      {"name = \"p\"\ntitle = \"t\"\nstatus = \"good\"\n", "status: expected"},
      {profile_head + "own_log = \"syslog\"\n", "p.toml:7: own_log: expected \"yubihsm-shell\""},
      {profile_head + "own_log = true\n", "own_log: expected a string"},
  };
  for (const auto& [text, expected] : cases) {
    const auto profile = parse_profile(text, "p.toml");
    ASSERT_FALSE(profile) << text;
    EXPECT_EQ(profile.error().reason, "configuration-invalid");
    EXPECT_THAT(profile.error().detail, HasSubstr(expected));
    EXPECT_TRUE(profile.error().detail.starts_with("p.toml:")) << profile.error().detail;
  }
}

TEST(Profile, ThoseOfTheRepositoryAreValidAndSayWhatIsVerified) {
  const std::filesystem::path directory = std::filesystem::path(AVSEAL_SOURCE_DIR) / "pkcs11-config" / "profiles";
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const auto profile = load_profile(directory, entry.path().stem().string());
    ASSERT_TRUE(profile) << profile.error().detail;
    const bool verified = profile->name == "softhsm2" || profile->name == "generic";
    EXPECT_EQ(profile->status, verified ? "verified" : "from documentation, not verified") << profile->name;
    EXPECT_FALSE(profile->guidance.empty());
    EXPECT_EQ(profile->own_log, profile->name == "yubihsm2" ? "yubihsm-shell" : "");
    ++count;
  }
  EXPECT_EQ(count, 8U);
}

TEST(Remedy, FollowsTheStandardsCodes) {
  const auto remedy = [](CK_RV rv) { return remedy_of(pkcs11::errors::call_failed("C_Sign", rv), {}); };
  for (const CK_RV rv : {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN,
                         CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID, CKR_OPERATION_ACTIVE}) {
    EXPECT_EQ(remedy(rv), Remedy::new_session) << pkcs11::ckr_name(rv);
  }
  for (const CK_RV rv : {CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_SLOT_ID_INVALID,
                         CKR_CRYPTOKI_NOT_INITIALIZED}) {
    EXPECT_EQ(remedy(rv), Remedy::new_process) << pkcs11::ckr_name(rv);
  }
  for (const CK_RV rv : {CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR, CKR_DEVICE_MEMORY, CKR_HOST_MEMORY}) {
    EXPECT_EQ(remedy(rv), Remedy::count) << pkcs11::ckr_name(rv);
  }
  EXPECT_EQ(remedy_of(pkcs11::errors::wrapped_invalid("x"), {}), Remedy::none);
}

}  // namespace
}  // namespace avseal::tokend
