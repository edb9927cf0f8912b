// What changes while requests run: configuration, drained tokens, the permission to sign, priorities.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "keyring/keyring.hpp"
#include "support.hpp"

namespace avseal::keyring::testing {
namespace {

using ::testing::HasSubstr;

class ReconfigurationTest : public KeyringTest {
 protected:
  Result<std::shared_ptr<Prepared>> prepare() {
    auto loaded = Keys::load(config.keys, to_unix(system_clock_now()));
    if (!loaded) return loaded.error();
    next_keys = *loaded;
    return run(keyring->prepare(config, next_keys));
  }
  // Begins the change; `done` when the earlier connections are closed.
  void adopt(std::shared_ptr<Prepared> prepared) {
    done = false;
    asio::co_spawn(context, keyring->adopt(std::move(prepared)), [this](std::exception_ptr) { done = true; });
  }
  std::size_t ended() const {
    return static_cast<std::size_t>(
        std::count_if(signatures.begin(), signatures.end(), [](auto& one) { return one.result.has_value(); }));
  }

  std::shared_ptr<const Keys> next_keys;
  bool done = false;
};

TEST_F(ReconfigurationTest, NextConfigurationTakesOverAndTheEarlierIsAnsweredFirst) {
  auto& before = add_worker();
  open();
  before.on_request = FakeWorker::keep;
  const auto& in_flight = begin("begun before");
  ASSERT_TRUE(run_until([&] { return before.kept.size() == 1; }));

  config.tokens = {{"other", {}}};
  for (auto& key : config.keys) key.tokens = {"other"};
  auto& after = add_worker("other");
  auto prepared = prepare();
  ASSERT_TRUE(prepared) << prepared.error().detail;
  adopt(std::move(*prepared));
  EXPECT_TRUE(sign("begun afterwards"));
  EXPECT_EQ(after.seen, 1U);
  EXPECT_FALSE(in_flight.result) << "not lost, not failed";
  EXPECT_FALSE(done);
  before.answer_kept();
  run_until([&] { return done; });
  EXPECT_TRUE(verifies(in_flight));
  EXPECT_EQ(keyring->tokens().at(0).name, "other");
  EXPECT_TRUE(losses.empty());
}

TEST_F(ReconfigurationTest, UnusableConfigurationChangesNothing) {
  add_worker();
  open();
  const auto good = config;
  config.keys[0].tokens = {"nowhere"};
  EXPECT_EQ(prepare().error().reason, "key-configuration");
  config = good;
  config.tokens.push_back({"absent", {dir / "absent.sock"}});
  for (auto& key : config.keys) key.tokens = {"absent"};
  config.start_limit = 100ms;
  const auto prepared = prepare();
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().reason, "hsm-unavailable");
  EXPECT_THAT(prepared.error().detail, HasSubstr("key 'signer'"));
  EXPECT_THAT(prepared.error().detail, HasSubstr("absent.sock"));
  EXPECT_TRUE(sign("as before"));
}

TEST_F(ReconfigurationTest, PreparedButNotAdoptedEndsItsConnections) {
  auto& worker = add_worker();
  open();
  {
    const auto prepared = prepare();
    ASSERT_TRUE(prepared);
    EXPECT_EQ(worker.connections, 2U);
  }
  run_until([&] { return worker.open_connections() == 1; });
  EXPECT_TRUE(sign("as before"));
}

TEST_F(ReconfigurationTest, KeyOfTheEarlierConfigurationSignsUntilItRetires) {
  add_worker();
  open();
  const auto old_key = keyring->keys().primary(KeyKind::avatar_id).value();
  const SoftKey fresh;
  write_file(dir / "next.pem", fresh.certificate_pem());
  config.keys[0].name = "next-signer";
  config.keys[0].certificate = dir / "next.pem";
  auto& worker = add_worker();
  worker.offer("next-signer", "avatar-id", fresh);
  auto prepared = prepare();
  ASSERT_TRUE(prepared) << prepared.error().detail;
  adopt(std::move(*prepared));
  run_until([&] { return keyring->keys().primary(KeyKind::avatar_id).value()->name == "next-signer"; });

  const auto sign_with = [&](const SigningKeyPtr& key) -> asio::awaitable<Result<Bytes>> {
    ledger::Event event;
    event.type = "sign.avatar-id";
    auto slot = co_await ledger->open_slot(std::move(event));
    auto result = co_await keyring->sign(*slot, *key, as_bytes("input"), std::chrono::steady_clock::now() + 5s);
    const auto committed = co_await slot->commit(ledger::Outcome::released);
    EXPECT_TRUE(committed);
    co_return result;
  };
  const auto with_old = run(sign_with(old_key));
  ASSERT_TRUE(with_old) << with_old.error().detail;
  EXPECT_TRUE(soft_key.public_key().verify(as_bytes("input"), *with_old));
  const auto with_next = run(sign_with(keyring->keys().primary(KeyKind::avatar_id).value()));
  ASSERT_TRUE(with_next) << with_next.error().detail;
  EXPECT_TRUE(fresh.public_key().verify(as_bytes("input"), *with_next));
  run_until([&] { return done; });
  EXPECT_EQ(run(sign_with(old_key)).error().reason, "key-not-configured");
}

TEST_F(ReconfigurationTest, NothingIsLostUnderLoad) {
  add_worker();
  open();
  std::size_t begun = 0;
  for (int round = 0; round < 3; ++round) {
    config.tokens[0].sockets.clear();
    add_worker();
    auto prepared = prepare();
    ASSERT_TRUE(prepared) << prepared.error().detail;
    for (int i = 0; i < 100; ++i) begin(fmt::format("{}", begun++));
    adopt(std::move(*prepared));
    for (int i = 0; i < 100; ++i) begin(fmt::format("{}", begun++));
    run_until([&] { return done && ended() == begun; });
  }
  for (const auto& one : signatures) EXPECT_TRUE(verifies(one)) << one.input;
  EXPECT_EQ(uses().size(), begun);
}

TEST_F(ReconfigurationTest, DrainedTokenGetsNoNewWork) {
  config.tokens = {{"hsm", {}}, {"replica", {}}};
  for (auto& key : config.keys) key.tokens = {"hsm", "replica"};
  auto& drained = add_worker("hsm");
  auto& other = add_worker("replica");
  open();
  drained.on_request = FakeWorker::keep;
  const auto& one = begin("in flight on one of the two");
  const auto& two = begin("on the other");
  run_until([&] { return drained.kept.size() == 1; });
  ASSERT_TRUE(keyring->set_drained("hsm", true));
  EXPECT_TRUE(keyring->tokens().at(0).drained);
  EXPECT_EQ(keyring->tokens().at(0).in_flight, 1U);
  EXPECT_THAT(keyring->status().at(0).why_not, HasSubstr("drained by an operator"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(sign(fmt::format("{}", i)));
  EXPECT_EQ(drained.seen, 1U);
  EXPECT_EQ(other.seen, 11U);
  drained.answer_kept();
  run_until([&] { return one.result && two.result; });
  EXPECT_TRUE(verifies(one));
  EXPECT_TRUE(verifies(two));

  auto prepared = prepare();
  ASSERT_TRUE(prepared);
  adopt(std::move(*prepared));
  run_until([&] { return done; });
  EXPECT_TRUE(keyring->tokens().at(0).drained) << "a reconfiguration does not undo it";
  drained.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer(request); };
  ASSERT_TRUE(keyring->set_drained("hsm", false));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(sign(fmt::format("again {}", i)));
  EXPECT_GT(drained.seen, 1U);
}

TEST_F(ReconfigurationTest, LastReplicaIsNotDrained) {
  config.tokens = {{"hsm", {}}, {"replica", {}}};
  for (auto& key : config.keys) key.tokens = {"hsm", "replica"};
  add_worker("hsm");
  auto& other = add_worker("replica");
  open();
  EXPECT_EQ(keyring->set_drained("nobody", true).error().reason, "token-unknown");
  ASSERT_TRUE(keyring->set_drained("replica", true));
  EXPECT_EQ(keyring->set_drained("hsm", true).error().reason, "token-last-replica");
  ASSERT_TRUE(keyring->set_drained("replica", false));
  other.kill();
  run_until([&] { return !losses.empty(); });
  EXPECT_EQ(keyring->set_drained("hsm", true).error().reason, "token-last-replica");
  EXPECT_FALSE(keyring->tokens().at(0).drained);
  EXPECT_TRUE(sign("still"));
}

TEST_F(ReconfigurationTest, DrainedByConfiguration) {
  config.tokens = {{"hsm", {}, true}, {"replica", {}}};
  for (auto& key : config.keys) key.tokens = {"hsm", "replica"};
  auto& drained = add_worker("hsm");
  add_worker("replica");
  ASSERT_TRUE(try_open());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(sign(fmt::format("{}", i)));
  EXPECT_EQ(drained.seen, 0U);
}

TEST_F(ReconfigurationTest, SignsOnlyWhileItMay) {
  bool may = false;
  config.may_sign = [&]() -> Result<void> {
    if (may) return {};
    return errors::make(Category::unavailable, "clock-stepped", "the clock was stepped");
  };
  auto& worker = add_worker();
  open();
  EXPECT_EQ(sign("input").error().reason, "clock-stepped");
  EXPECT_EQ(worker.seen, 0U);
  EXPECT_EQ(counter("avseal_hsm_failures_total", {{"key", "signer"}, {"reason", "clock-stepped"}}), 1);
  const auto soon = std::chrono::steady_clock::now() + 5s;
  EXPECT_TRUE(run(keyring->wrap(Secret::random(32), {}, soon))) << "no signature";
  may = true;
  EXPECT_TRUE(sign("input"));
}

TEST_F(ReconfigurationTest, LiveRequestsGoBeforeBatchWork) {
  config.window = 1;
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  begin("in flight");
  run_until([&] { return worker.kept.size() == 1; });
  for (int i = 0; i < 3; ++i) begin(fmt::format("batch {}", i), 5s, Priority::batch);
  for (int i = 0; i < 3; ++i) begin(fmt::format("live {}", i));
  context.poll();
  std::vector<std::string> order;
  worker.on_request = [&](FakeWorker& self, const tokend::Request& request) {
    order.emplace_back(as_text(request.input));
    self.answer(request);
  };
  worker.answer_kept();
  run_until([&] { return ended() == 7; });
  EXPECT_EQ(order, (std::vector<std::string>{"live 0", "live 1", "live 2", "batch 0", "batch 1", "batch 2"}));
}

TEST_F(ReconfigurationTest, BatchWorkLeavesHalfOfTheQueueToLiveRequests) {
  config.window = 1;
  config.max_queue = 4;
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  begin("in flight");
  run_until([&] { return worker.kept.size() == 1; });
  for (int i = 0; i < 3; ++i) begin(fmt::format("batch {}", i), 5s, Priority::batch);
  for (int i = 0; i < 3; ++i) begin(fmt::format("live {}", i));
  run_until([&] { return ended() == 2; });
  std::vector<std::string> refused;
  for (const auto& one : signatures) {
    if (one.result) refused.push_back(one.input + " " + std::string(one.result->error().reason));
  }
  EXPECT_EQ(refused, (std::vector<std::string>{"batch 2 hsm-busy", "live 2 hsm-busy"}));
}

}  // namespace
}  // namespace avseal::keyring::testing
