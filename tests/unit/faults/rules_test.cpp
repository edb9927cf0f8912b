#include "tests/faults/module/rules.hpp"

#include <csignal>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace avseal::faults {
namespace {

std::string seed(const std::string& name) {
  std::ifstream in(std::string(AVSEAL_SOURCE_DIR) + "/tests/fuzz/corpus/rules/" + name);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Rule rule(const std::string& line) {
  auto rules = parse_rules(line);
  EXPECT_TRUE(rules) << rules.error().detail;
  return rules && rules->size() == 1 ? rules->front() : Rule{};
}

std::string error_of(const std::string& text) {
  const auto rules = parse_rules(text);
  return rules ? "no error" : rules.error().detail;
}

TEST(Rules, ReadEveryEffect) {
  const auto calls = parse_rules(seed("calls"));
  const auto states = parse_rules(seed("states"));
  ASSERT_TRUE(calls) << calls.error().detail;
  ASSERT_TRUE(states) << states.error().detail;
  EXPECT_EQ(calls->size(), 7U);
  EXPECT_EQ(states->size(), 14U);
}

TEST(Rules, ReadMembers) {
  const Rule one =
      rule("a.1 return function=C_Sign,C_Login code=CKR_DEVICE_REMOVED times=3 token=hsm-a probability=0.25 seed=9");
  EXPECT_EQ(one.name, "a.1");
  EXPECT_EQ(one.effect, Effect::return_code);
  EXPECT_EQ(one.functions.count(), 2U);
  EXPECT_TRUE(one.functions.test(static_cast<std::size_t>(Function::C_Login)));
  EXPECT_EQ(one.code, CKR_DEVICE_REMOVED);
  EXPECT_EQ(one.times, 3U);
  EXPECT_EQ(one.token, "hsm-a");
  EXPECT_EQ(one.probability, 0.25);
  EXPECT_EQ(one.seed, 9U);
  EXPECT_EQ(rule("a return function=* code=0x80000001").code, 0x80000001UL);
  EXPECT_EQ(rule("a return function=* code=6").functions.count(), function_count);
  EXPECT_EQ(rule("a latency function=C_Sign ms=0.5 parallel=32").duration, std::chrono::microseconds(500));
  EXPECT_EQ(rule("a crash function=C_Sign").signal, SIGSEGV);
  EXPECT_EQ(rule("a crash function=C_Sign signal=ABRT").signal, SIGABRT);
  EXPECT_EQ(rule("a pin-flags flags=COUNT_LOW,LOCKED").flags, CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED);
  EXPECT_EQ(rule("a no-mechanism mechanism=CKM_ECDSA,0x1087").mechanisms,
            (std::vector<CK_MECHANISM_TYPE>{CKM_ECDSA, CKM_AES_GCM}));
  EXPECT_EQ(rule("a removed").code, CKR_DEVICE_REMOVED);
  EXPECT_EQ(rule("a session-limit max=2").code, CKR_SESSION_COUNT);
  EXPECT_EQ(rule("a removed until=1763930000123").until, std::chrono::milliseconds(1763930000123));
  EXPECT_EQ(rule("a ec-point form=raw").point, PointForm::raw);
  EXPECT_EQ(rule("a signature form=der").signature, SignatureForm::der);
}

TEST(Rules, SayWhatIsWrongAndWhere) {
  EXPECT_EQ(error_of("# fine\n\nx hang\n"), "rules:3: hang needs function=");
  EXPECT_EQ(error_of("x hangs function=*"), "rules:1: \"hangs\" is no effect");
  EXPECT_EQ(error_of("x hang function=C_Sing"),
            "rules:1: function: expected * or names of PKCS#11 functions, found \"C_Sing\"");
  EXPECT_EQ(error_of("x hang function=C_Sign code=1"), "rules:1: hang takes no \"code\"");
  EXPECT_EQ(error_of("x hang function=C_Sign function=C_Sign"), "rules:1: function is given twice");
  EXPECT_EQ(error_of("x return function=C_Sign code=CKR_NONSENSE"),
            "rules:1: code: expected a CKR_ name or a number, found \"CKR_NONSENSE\"");
  EXPECT_EQ(error_of("x removed\nx removed"), "rules:2: two rules are named \"x\"");
  EXPECT_EQ(error_of("../x removed").substr(0, 24), "rules:1: expected a name");
  EXPECT_EQ(error_of("x signature form=raw").substr(0, 14), "rules:1: form:");
  EXPECT_EQ(error_of("x ec-point form=short").substr(0, 14), "rules:1: form:");
  for (const char* text : {"x hang function=C_Sign times=0", "x hang function=C_Sign probability=1.5",
                           "x hang function=C_Sign probability=nan", "x delay function=C_Sign ms=-1",
                           "x delay function=C_Sign ms=inf", "x latency function=C_Sign ms=1 parallel=0",
                           "x removed until=-1", "x removed token=", "x slots shift=1e3", "x hang function="}) {
    EXPECT_NE(error_of(text).find(": expected "), std::string::npos) << text << ": " << error_of(text);
  }
}

}  // namespace
}  // namespace avseal::faults
