// One test for each effect, through the C ABI.
#include <csignal>
#include <sys/wait.h>
#include <thread>

#include "tests/unit/faults/fixture.hpp"

namespace avseal::faults {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

std::int64_t unix_ms() {
  return std::chrono::system_clock::now().time_since_epoch() / 1ms;
}

TEST_F(FaultTest, ForwardsWithoutRules) {
  Bytes signature;
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_TRUE(is_of("k", signature));
  EXPECT_FALSE(is_of("other", signature));
  EXPECT_EQ(std::string(facts->token.data()), "hsm-a");
  EXPECT_EQ(facts->sessions, 1U);
  EXPECT_GE(count(Function::C_Sign, CKR_OK), 1U);
}

TEST_F(FaultTest, ReturnsACode) {
  one_rule("return function=C_SignInit code=CKR_DEVICE_ERROR");
  EXPECT_EQ(sign(), CKR_DEVICE_ERROR);
  EXPECT_EQ(sign(), CKR_DEVICE_ERROR);
  EXPECT_EQ(count(Function::C_SignInit, CKR_DEVICE_ERROR), 2U);
  one_rule("return function=C_SignInit code=CKR_DEVICE_ERROR token=hsm-b");
  EXPECT_EQ(sign(), CKR_OK);
  one_rule("return function=C_SignInit code=CKR_DEVICE_ERROR token=hsm-a");
  EXPECT_EQ(sign(), CKR_DEVICE_ERROR);
}

TEST_F(FaultTest, ReturnsACodeSoManyTimes) {
  one_rule("return function=C_SignInit code=0x6 times=2");
  EXPECT_EQ(sign(), CKR_FUNCTION_FAILED);
  EXPECT_EQ(sign(), CKR_FUNCTION_FAILED);
  EXPECT_EQ(sign(), CKR_OK);
  const auto before = facts->injected.load();
  rules("# other\nshared return function=C_SignInit code=6 times=3");
  std::ofstream(faults_directory().path() / "spent" / "shared.1");  // as another process leaves it
  std::ofstream(faults_directory().path() / "spent" / "shared.2");
  EXPECT_EQ(sign(), CKR_FUNCTION_FAILED);
  EXPECT_EQ(sign(), CKR_OK);
  EXPECT_EQ(facts->injected, before + 1);
}

TEST_F(FaultTest, ReturnsACodeForATime) {
  one_rule("return function=C_SignInit code=CKR_GENERAL_ERROR until=" + std::to_string(unix_ms() + 60'000));
  EXPECT_EQ(sign(), CKR_GENERAL_ERROR);
  one_rule("return function=C_SignInit code=CKR_GENERAL_ERROR until=" + std::to_string(unix_ms() - 1));
  EXPECT_EQ(sign(), CKR_OK);
}

TEST_F(FaultTest, ReturnsACodeByChance) {
  const auto pattern = [this] {
    std::string outcome;
    for (int i = 0; i < 64; ++i) outcome += sign() == CKR_OK ? '.' : 'x';
    return outcome;
  };
  one_rule("return function=C_SignInit code=CKR_GENERAL_ERROR probability=0.5 seed=7");
  const std::string first = pattern();
  one_rule("return function=C_SignInit code=CKR_GENERAL_ERROR probability=0.5 seed=7");
  EXPECT_EQ(pattern(), first);
  one_rule("return function=C_SignInit code=CKR_GENERAL_ERROR probability=0.5 seed=8");
  EXPECT_NE(pattern(), first);
  const auto failed = std::count(first.begin(), first.end(), 'x');
  EXPECT_GT(failed, 16);
  EXPECT_LT(failed, 48);
}

TEST_F(FaultTest, ReturnsACodeAfterTheCallWasMade) {
  CK_SESSION_HANDLE second = 0;
  one_rule("return function=C_OpenSession code=CKR_DEVICE_ERROR forwarded=yes");
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION, second), CKR_DEVICE_ERROR);
  rules("");
  EXPECT_EQ(sign(second, key), CKR_OK);
}

TEST_F(FaultTest, Delays) {
  one_rule("delay function=C_Sign ms=30");
  const auto begun = steady_clock::now();
  EXPECT_EQ(sign(), CKR_OK);
  EXPECT_GE(steady_clock::now() - begun, 30ms);
}

TEST_F(FaultTest, HangsUntilReleased) {
  one_rule("hang function=C_Sign times=1");
  std::atomic<bool> done = false;
  std::thread hung([&] {
    EXPECT_EQ(sign(), CKR_OK);
    done = true;
  });
  while (facts->calls_now == 0) std::this_thread::yield();
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(done);
  EXPECT_EQ(sign(open(), key), CKR_OK);  // once only
  rules("");
  hung.join();
}

TEST_F(FaultTest, Crashes) {
  for (const auto& [name, signal] : {std::pair("", SIGSEGV), std::pair(" signal=ABRT", SIGABRT)}) {
    one_rule("crash function=C_GetInfo" + std::string(name));
    const pid_t child = fork();
    if (child == 0) {
      CK_INFO info{};
      api().C_GetInfo(&info);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
  }
  EXPECT_EQ(facts->forks, 2U);
}

TEST_F(FaultTest, BehavesAsANetworkHsm) {
  one_rule("latency function=C_Sign ms=20 parallel=2");
  std::vector<std::thread> threads;
  const auto begun = steady_clock::now();
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, in = open()] { EXPECT_EQ(sign(in, key), CKR_OK); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(steady_clock::now() - begun, 40ms);  // two at once
  EXPECT_EQ(facts->calls_at_once, 4U);
}

TEST_F(FaultTest, SpoilsSignatures) {
  Bytes signature;
  one_rule("signature form=short");
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_EQ(signature.size(), 63U);
  one_rule("signature form=long");
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_EQ(signature.size(), 65U);
  one_rule("signature form=flipped times=1");
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_EQ(signature.size(), 64U);
  EXPECT_FALSE(is_of("k", signature));
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_TRUE(is_of("k", signature));
  one_rule("signature form=der");
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_TRUE(is_of("k", tokens::signature_from_der(signature, 64).value()));
}

TEST_F(FaultTest, SignsWithAnotherKey) {
  Bytes signature;
  EXPECT_EQ(sign(session, other), CKR_OK);
  one_rule("signature form=other-key");
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_TRUE(is_of("other", signature));
}

TEST_F(FaultTest, RemovesTheTokenAndPutsItBack) {
  const CK_SLOT_ID before = slot();
  one_rule("removed token=hsm-a");
  EXPECT_EQ(sign(), CKR_DEVICE_REMOVED);
  EXPECT_EQ(facts->sessions, 0U);
  EXPECT_EQ(slot(), none);
  CK_TOKEN_INFO info{};
  EXPECT_EQ(api().C_GetTokenInfo(before, &info), CKR_TOKEN_NOT_PRESENT);
  CK_SLOT_INFO slot_info{};
  EXPECT_EQ(api().C_GetSlotInfo(before, &slot_info), CKR_OK);
  EXPECT_EQ(slot_info.flags & CKF_TOKEN_PRESENT, 0U);
  CK_SESSION_HANDLE opened = 0;
  EXPECT_EQ(api().C_OpenSession(before, CKF_SERIAL_SESSION, nullptr, nullptr, &opened), CKR_TOKEN_NOT_PRESENT);
  rules("");
  EXPECT_EQ(slot(), before);
  EXPECT_EQ(sign(), CKR_SESSION_HANDLE_INVALID);
  session = open();
  EXPECT_EQ(find("k"), CK_INVALID_HANDLE);
  EXPECT_EQ(log_in(session), CKR_OK);
  EXPECT_EQ(sign(session, find("k")), CKR_OK);
}

TEST_F(FaultTest, ChangesSlotNumbers) {
  const CK_SLOT_ID before = slot();
  one_rule("slots shift=1000");
  EXPECT_EQ(slot(), before + 1000);
  CK_TOKEN_INFO info{};
  EXPECT_EQ(api().C_GetTokenInfo(before, &info), CKR_SLOT_ID_INVALID);
  CK_SESSION_INFO session_info{};
  EXPECT_EQ(api().C_GetSessionInfo(open(), &session_info), CKR_OK);
  EXPECT_EQ(session_info.slotID, before + 1000);
  EXPECT_EQ(sign(), CKR_OK);
}

TEST_F(FaultTest, SetsPinFlags) {
  CK_TOKEN_INFO info{};
  one_rule("pin-flags flags=COUNT_LOW,FINAL_TRY");
  EXPECT_EQ(api().C_GetTokenInfo(slot(), &info), CKR_OK);
  EXPECT_NE(info.flags & CKF_USER_PIN_COUNT_LOW, 0U);
  EXPECT_NE(info.flags & CKF_USER_PIN_FINAL_TRY, 0U);
  EXPECT_EQ(info.flags & CKF_USER_PIN_LOCKED, 0U);
  EXPECT_EQ(api().C_Logout(session), CKR_OK);
  one_rule("pin-flags flags=LOCKED");
  EXPECT_EQ(log_in(session), CKR_PIN_LOCKED);
  rules("");
  EXPECT_EQ(log_in(session), CKR_OK);
}

TEST_F(FaultTest, LimitsSessions) {
  CK_SESSION_HANDLE opened = 0;
  one_rule("session-limit max=2");
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION, opened), CKR_OK);
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION, opened), CKR_SESSION_COUNT);
  EXPECT_EQ(api().C_CloseSession(opened), CKR_OK);
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION, opened), CKR_OK);
  one_rule("session-limit max=2 code=CKR_ARGUMENTS_BAD");
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION, opened), CKR_ARGUMENTS_BAD);
}

TEST_F(FaultTest, RefusesReadOnlySessions) {
  CK_SESSION_HANDLE opened = 0;
  one_rule("read-only-refused");
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION, opened), CKR_FUNCTION_FAILED);
  EXPECT_EQ(try_open(CKF_SERIAL_SESSION | CKF_RW_SESSION, opened), CKR_OK);
}

TEST_F(FaultTest, RefusesLockingAndCountsOverlaps) {
  EXPECT_EQ(api().C_Finalize(nullptr), CKR_OK);
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  rules("lock no-locking");
  EXPECT_EQ(api().C_Initialize(&arguments), CKR_CANT_LOCK);
  EXPECT_EQ(api().C_Initialize(nullptr), CKR_OK);
  rules("lock no-locking\nslow delay function=C_GetInfo ms=50");
  CK_INFO info{};
  EXPECT_EQ(api().C_GetInfo(&info), CKR_OK);
  EXPECT_EQ(facts->overlaps, 0U);
  std::thread second([&] { EXPECT_EQ(api().C_GetInfo(&info), CKR_OK); });
  while (facts->calls_now == 0) std::this_thread::yield();
  CK_ULONG slots = 0;
  EXPECT_EQ(api().C_GetSlotList(CK_TRUE, nullptr, &slots), CKR_OK);
  second.join();
  EXPECT_EQ(facts->overlaps, 1U);
}

TEST_F(FaultTest, TakesMechanismsAwayAndHashesItself) {
  CK_MECHANISM_INFO info{};
  Bytes signature;
  EXPECT_EQ(api().C_GetMechanismInfo(slot(), CKM_ECDSA_SHA256, &info), CKR_MECHANISM_INVALID);
  rules("a no-mechanism mechanism=CKM_ECDSA,CKM_AES_GCM\nb hashing-ecdsa");
  EXPECT_EQ(api().C_GetMechanismInfo(slot(), CKM_ECDSA, &info), CKR_MECHANISM_INVALID);
  EXPECT_EQ(api().C_GetMechanismInfo(slot(), CKM_AES_GCM, &info), CKR_MECHANISM_INVALID);
  EXPECT_EQ(api().C_GetMechanismInfo(slot(), CKM_ECDSA_SHA256, &info), CKR_OK);
  EXPECT_NE(info.flags & CKF_SIGN, 0U);
  std::array<CK_MECHANISM_TYPE, 256> all{};
  CK_ULONG size = all.size();
  EXPECT_EQ(api().C_GetMechanismList(slot(), all.data(), &size), CKR_OK);
  EXPECT_EQ(std::count(all.data(), all.data() + size, CKM_ECDSA), 0);
  EXPECT_EQ(std::count(all.data(), all.data() + size, CKM_ECDSA_SHA256), 1);
  EXPECT_EQ(sign(), CKR_MECHANISM_INVALID);
  EXPECT_EQ(sign(session, key, signature, CKM_ECDSA_SHA256), CKR_OK);
  EXPECT_TRUE(is_of("k", signature));
}

TEST_F(FaultTest, EncodesPoints) {
  const Bytes der = point("k");
  ASSERT_EQ(der.size(), 67U);
  one_rule("ec-point form=raw");
  EXPECT_EQ(point("k"), Bytes(der.begin() + 2, der.end()));
  one_rule("ec-point form=bit-string");
  const Bytes bits = point("k");
  EXPECT_EQ(Bytes(bits.begin(), bits.begin() + 3), (Bytes{0x03, 66, 0}));
  EXPECT_EQ(Bytes(bits.begin() + 3, bits.end()), Bytes(der.begin() + 2, der.end()));
  std::uint8_t small = 0;
  CK_ATTRIBUTE attribute{CKA_EC_POINT, nullptr, 0};
  EXPECT_EQ(api().C_GetAttributeValue(session, find("k", CKO_PUBLIC_KEY), &attribute, 1), CKR_OK);
  EXPECT_EQ(attribute.ulValueLen, 68U);
  attribute = {CKA_EC_POINT, &small, 1};
  EXPECT_EQ(api().C_GetAttributeValue(session, find("k", CKO_PUBLIC_KEY), &attribute, 1), CKR_BUFFER_TOO_SMALL);
}

TEST_F(FaultTest, EndsIdleSessions) {
  const CK_SESSION_HANDLE idle = open();
  one_rule("idle-timeout ms=50");
  EXPECT_EQ(sign(idle, key), CKR_OK);
  std::this_thread::sleep_for(60ms);
  EXPECT_EQ(sign(idle, key), CKR_SESSION_HANDLE_INVALID);
  EXPECT_EQ(facts->sessions, 0U);
}

TEST_F(FaultTest, InvalidatesAllSessionsOnce) {
  one_rule("invalidate-sessions");
  EXPECT_EQ(sign(), CKR_SESSION_HANDLE_INVALID);
  session = open();
  EXPECT_EQ(find("k"), CK_INVALID_HANDLE);  // logged out, too
  EXPECT_EQ(log_in(session), CKR_OK);
  EXPECT_EQ(sign(session, find("k")), CKR_OK);
}

TEST_F(FaultTest, LogsEverybodyOutOnce) {
  one_rule("logout");
  EXPECT_NE(sign(), CKR_OK);
  EXPECT_EQ(find("k"), CK_INVALID_HANDLE);
  EXPECT_EQ(log_in(session), CKR_OK);
  EXPECT_EQ(sign(session, find("k")), CKR_OK);
}

TEST_F(FaultTest, GivesObjectHandlesAnotherMeaning) {
  Bytes signature;
  EXPECT_EQ(sign(session, key), CKR_OK);
  EXPECT_EQ(sign(session, other), CKR_OK);
  one_rule("swap-objects");
  EXPECT_EQ(sign(session, key, signature), CKR_OK);
  EXPECT_TRUE(is_of("other", signature));
  EXPECT_NE(find("k"), key);
  EXPECT_EQ(sign(session, find("k"), signature), CKR_OK);
  EXPECT_TRUE(is_of("k", signature));
}

TEST_F(FaultTest, GivesObjectsOtherHandles) {
  one_rule("renumber-objects");
  EXPECT_EQ(sign(), CKR_OBJECT_HANDLE_INVALID);
  EXPECT_EQ(sign(session, find("k")), CKR_OK);
}

TEST_F(FaultTest, KeepsItsRulesWhenNewOnesAreMalformed) {
  one_rule("return function=C_SignInit code=CKR_DEVICE_ERROR");
  EXPECT_EQ(sign(), CKR_DEVICE_ERROR);
  rules("x nonsense");
  EXPECT_EQ(sign(), CKR_DEVICE_ERROR);
  const auto file = faults_directory().path() / "rules.error";
  std::string error;
  std::getline(std::ifstream(file), error);
  EXPECT_EQ(error, "rules:1: \"nonsense\" is no effect");
  rules("");
  EXPECT_EQ(sign(), CKR_OK);
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace avseal::faults
