// Tokens that fail, hang, lie, vanish and idle, with workers that do what the test says.
#include "keyring/breaker.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support.hpp"

namespace avseal::keyring::testing {
namespace {

using ::testing::HasSubstr;

TEST(BreakerRulesTest, OpensOnFailuresInARow) {
  Breaker breaker;
  const Instant now{1h};
  EXPECT_FALSE(breaker.attempt_failed(now));
  EXPECT_FALSE(breaker.attempt_failed(now));
  EXPECT_FALSE(breaker.succeeded());
  EXPECT_FALSE(breaker.attempt_failed(now));
  EXPECT_FALSE(breaker.attempt_failed(now));
  EXPECT_TRUE(breaker.attempt_failed(now));
  EXPECT_EQ(breaker.state(), BreakerState::open);
  EXPECT_FALSE(breaker.attempt_failed(now)) << "it is open already";
  EXPECT_TRUE(breaker.succeeded());
  EXPECT_TRUE(breaker.closed());
}

TEST(BreakerRulesTest, PausesBetweenProbesGrowAndAreBounded) {
  Breaker breaker;
  Instant now{1h};
  ASSERT_TRUE(breaker.trip(now));
  auto longest = breaker.probe_at() - now;
  for (int i = 0; i < 10; ++i) {
    now = breaker.probe_at();
    breaker.probing();
    EXPECT_EQ(breaker.state(), BreakerState::half_open);
    EXPECT_FALSE(breaker.probe_failed(now));
    EXPECT_EQ(breaker.state(), BreakerState::open);
    EXPECT_GE(breaker.probe_at() - now, longest);
    longest = breaker.probe_at() - now;
  }
  EXPECT_EQ(longest, 250ms);
  breaker.probe_soon(now);
  EXPECT_EQ(breaker.probe_at(), now);
}

TEST(BreakerRulesTest, FailedProbeOfAnIdleTokenOpensIt) {
  Breaker breaker;
  EXPECT_TRUE(breaker.probe_failed(Instant{1h}));
  EXPECT_EQ(breaker.state(), BreakerState::open);
}

class BreakerTest : public KeyringTest {
 protected:
  BreakerTest() {
    config.tokens = {{"a", {}}, {"b", {}}};
    for (auto& key : config.keys) key.tokens = {"a", "b"};
  }
  TokenStatus token(std::size_t index) const { return keyring->tokens().at(index); }
  BreakerState breaker(std::size_t index) const { return token(index).breaker; }
  void sign_some(int count) {
    for (int i = 0; i < count; ++i) EXPECT_TRUE(sign(fmt::format("{}", number++)));
  }
  static void fail_all(FakeWorker& self, const tokend::Request& request) { self.fail(request, "hsm-error"); }
  static void answer_all(FakeWorker& self, const tokend::Request& request) { self.answer(request); }

  int number = 0;
};

TEST_F(BreakerTest, FailingTokenGetsNoLiveWorkUntilAProbePasses) {
  auto& failing = add_worker("a");
  add_worker("b");
  std::vector<BreakerChange> told;
  config.on_breaker = [&](const BreakerChange& change) { told.push_back(change); };
  open();
  failing.on_request = fail_all;
  while (breaker(0) == BreakerState::closed) sign_some(1);
  EXPECT_THAT(token(0).last_error, HasSubstr("as the test says"));
  const auto seen = failing.seen;
  sign_some(20);
  run_until([&] { return failing.probes >= 3; });
  EXPECT_EQ(failing.seen, seen);
  failing.on_request = answer_all;
  run_until([&] { return breaker(0) == BreakerState::closed; });
  sign_some(4);
  EXPECT_GT(failing.seen, seen);
  EXPECT_GE(counter("avseal_hsm_probes_total", {{"token", "a"}, {"result", "failed"}}), 2);
  EXPECT_EQ(counter("avseal_hsm_probes_total", {{"token", "a"}, {"result", "passed"}}), 1);
  EXPECT_GE(counter("avseal_hsm_errors_total", {{"token", "a"}, {"key", "signer"}, {"ckr", "CKR_DEVICE_ERROR"}}), 3);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(told[0].open && told[0].token == "a");
  EXPECT_THAT(told[0].why, HasSubstr("as the test says"));
  EXPECT_TRUE(!told[1].open && told[1].token == "a");
}

TEST_F(BreakerTest, LostTokenIsProbedBeforeItGetsLiveWorkAgain) {
  auto& lost = add_worker("a");
  add_worker("b");
  open();
  lost.kill();
  run_until([&] { return !losses.empty(); });
  EXPECT_NE(breaker(0), BreakerState::closed);
  EXPECT_FALSE(token(0).connected);
  EXPECT_THAT(token(0).last_error, HasSubstr("1.sock"));
  sign_some(10);
  std::vector<tokend::FrameType> order;
  lost.on_request = [&](FakeWorker& self, const tokend::Request& request) {
    order.push_back(request.operation);
    self.answer(request);
  };
  lost.listen();
  while (lost.seen == 0) sign_some(1);
  EXPECT_EQ(order.at(0), tokend::FrameType::probe);
  EXPECT_EQ(breaker(0), BreakerState::closed);
}

TEST_F(BreakerTest, AbsentTokenAtTheStartIsTakenWhenItComes) {
  auto& absent = add_worker("a");
  add_worker("b");
  absent.kill();
  ASSERT_TRUE(try_open());
  run_until([&] { return breaker(0) == BreakerState::open; });
  sign_some(5);
  absent.listen();
  run_until([&] { return breaker(0) == BreakerState::closed; });
  while (absent.seen == 0) sign_some(1);
}

TEST_F(BreakerTest, OnlyTokenIsTriedWhileItsBreakerIsOpen) {
  for (auto& key : config.keys) key.tokens = {"a"};
  auto& only = add_worker("a");
  open();
  only.on_request = fail_all;
  EXPECT_EQ(sign("fails", 300ms).error().reason, "hsm-unavailable");
  EXPECT_NE(breaker(0), BreakerState::closed);
  only.on_request = [](FakeWorker& self, const tokend::Request& request) {
    if (request.operation == tokend::FrameType::probe) return self.fail(request, "hsm-error");
    self.answer(request);
  };
  EXPECT_TRUE(sign("is tried"));
}

TEST_F(BreakerTest, HungTokensRequestsGoElsewhereAndItGetsNoMore) {
  config.attempt_limit = 30ms;
  auto& hung = add_worker("a");
  add_worker("b");
  open();
  hung.on_request = FakeWorker::keep;
  for (int i = 0; i < 40; ++i) begin(fmt::format("{}", i));
  run_until([&] { return std::all_of(signatures.begin(), signatures.end(), [](auto& one) { return one.result; }); });
  for (const auto& one : signatures) EXPECT_TRUE(verifies(one)) << one.input;
  EXPECT_NE(breaker(0), BreakerState::closed);
  const auto seen = hung.seen;
  sign_some(10);
  EXPECT_EQ(hung.seen, seen);
  EXPECT_THAT(token(0).last_error, HasSubstr("within")) << "a limit, of an attempt or of a probe";
  hung.on_request = answer_all;
  hung.answer_kept();
  run_until([&] { return breaker(0) == BreakerState::closed; });
}

TEST_F(BreakerTest, OneHungWorkerOfAGoodTokenDoesNotOpenIt) {
  config.attempt_limit = 30ms;
  auto& hung = add_worker("a");
  auto& good = add_worker("a");
  open();
  hung.on_request = FakeWorker::keep;
  begin("one");
  begin("two");
  run_until([&] { return std::all_of(signatures.begin(), signatures.end(), [](auto& one) { return one.result; }); });
  const auto seen = hung.seen;
  sign_some(10);
  EXPECT_EQ(hung.seen, seen) << "it is avoided";
  EXPECT_GE(good.seen, 10U);
  EXPECT_EQ(breaker(0), BreakerState::closed);
}

TEST_F(BreakerTest, TokenThatGivesFalseSignaturesLosesItsLiveWork) {
  auto& liar = add_worker("a");
  add_worker("b");
  open();
  liar.on_request = [](FakeWorker& self, const tokend::Request& request) {
    if (request.operation == tokend::FrameType::probe) return self.fail(request, "hsm-error");
    self.answer_badly(request);
  };
  while (breaker(0) == BreakerState::closed) sign_some(1);
  EXPECT_EQ(liar.seen, 3U);
  sign_some(10);
  EXPECT_EQ(liar.seen, 3U);
  EXPECT_EQ(counter("avseal_hsm_discarded_attempts_total", {{"key", "signer"}, {"reason", "bad-signature"}}), 3);
}

TEST_F(BreakerTest, AnotherKeyAfterAReconnectionIsRefused) {
  auto& changed = add_worker("a");
  add_worker("b");
  open();
  changed.kill();
  run_until([&] { return !losses.empty(); });
  changed.hello.keys.clear();
  changed.offer("signer", "avatar-id", SoftKey());
  changed.offer_kek("kek");
  changed.listen();
  run_until([&] { return token(0).connected; });
  sign_some(5);
  EXPECT_EQ(changed.seen, 0U);
  EXPECT_TRUE(keyring->status()[0].can_sign);
  EXPECT_THAT(keyring->status()[0].why_not, HasSubstr("not the certificate's"));
}

TEST_F(BreakerTest, IdleTokensAreProbedWithEachKeyInTurn) {
  config.idle_probe = 20ms;
  auto& idle = add_worker("a");
  add_worker("b");
  std::vector<std::string> probed;
  idle.on_request = [&](FakeWorker& self, const tokend::Request& request) {
    probed.push_back(request.key);
    self.answer(request);
  };
  open();
  run_until([&] { return probed.size() >= 3; });
  EXPECT_EQ(idle.seen, 0U);
  EXPECT_NE(probed[0], probed[1]);
  EXPECT_EQ(probed[0], probed[2]);
  idle.on_request = fail_all;
  run_until([&] { return breaker(0) != BreakerState::closed; });
}

TEST_F(BreakerTest, DrainedTokenIsNotProbed) {
  config.idle_probe = 20ms;
  auto& drained = add_worker("a");
  auto& other = add_worker("b");
  open();
  ASSERT_TRUE(keyring->set_drained("a", true));
  const auto before = drained.probes;
  const auto others = other.probes;
  run_until([&] { return other.probes > others + 3; });
  EXPECT_LE(drained.probes, before + 1) << "one may have been under way";
}

TEST_F(BreakerTest, StatusTellsWhatTheTokenSaysOfItself) {
  auto& worker = add_worker("a");
  add_worker("b");
  worker.hello.token = {"label", "serial", "maker", "model", "2.6"};
  worker.recoveries = 7;
  open();
  run_until([&] {
    sign_some(1);
    return worker.seen > 0;
  });
  const auto status = token(0);
  EXPECT_EQ(status.name, "a");
  EXPECT_EQ(status.label + status.serial + status.manufacturer + status.model + status.firmware,
            "labelserialmakermodel2.6");
  EXPECT_TRUE(status.connected);
  ASSERT_EQ(status.workers.size(), 1U);
  EXPECT_EQ(status.workers[0].instance, "instance-1");
  EXPECT_EQ(status.workers[0].recoveries, 7U);
  EXPECT_GE(counter("avseal_hsm_attempts_total", {{"token", "a"}, {"key", "signer"}}), 1);
}

// One answer each 5 ms: what waits is known to take longer than a short deadline allows.
TEST_F(BreakerTest, RequestThatCannotBeServedInTimeIsRefusedAtOnce) {
  config.window = 1;
  for (auto& key : config.keys) key.tokens = {"a"};
  auto& slow = add_worker("a");
  open();
  slow.on_request = FakeWorker::keep;
  for (int i = 0; i < 100; ++i) begin(fmt::format("{}", i), 1h);
  asio::steady_timer drip(context);
  std::size_t answered = 0;
  bool dripping = true;
  bool dripped = false;  // nothing waits that would outlive what it uses
  std::function<void()> answer_one = [&] {
    answered += slow.kept.size();
    slow.answer_kept();
    dripped = !dripping;
    if (dripped) return;
    drip.expires_after(5ms);
    drip.async_wait([&](boost::system::error_code) { answer_one(); });
  };
  answer_one();
  run_until([&] { return answered >= 20; });
  const auto& hopeless = begin("cannot be served in time", 60ms);
  const auto& patient = begin("can", 1h);
  run_until([&] { return hopeless.result.has_value(); });
  EXPECT_EQ(hopeless.result->error().reason, "hsm-busy");
  EXPECT_THAT(hopeless.result->error().detail, HasSubstr("longer than this request's deadline"));
  EXPECT_GT(hopeless.result->error().retry_after.count(), 0);
  run_until([&] { return patient.result.has_value(); });
  EXPECT_TRUE(verifies(patient));
  dripping = false;
  run_until([&] { return dripped; });
}

}  // namespace
}  // namespace avseal::keyring::testing
