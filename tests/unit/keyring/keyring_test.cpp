#include "keyring/keyring.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::ledger {
// In the place of ledger/'s own: the only one that makes permits.
class Checkpointer {
 public:
  static CheckpointPermit permit() { return {}; }
};
}  // namespace avseal::ledger

namespace avseal::keyring::testing {
namespace {

using ::testing::HasSubstr;

std::string digest_of(const std::string& input) {
  return tokens::base64url_encode(tokens::sha256(as_bytes(input)));
}

TEST_F(KeyringTest, SignsVerifiesAndRecordsTheUse) {
  add_worker();
  open();
  const auto signature = sign("input");
  ASSERT_TRUE(signature) << signature.error().detail;
  EXPECT_TRUE(soft_key.public_key().verify(as_bytes("input"), *signature));
  const auto all = uses();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("key"), "signer");
  EXPECT_EQ(all[0].at("kid").as_string(), soft_key.public_key().thumbprint());
  EXPECT_EQ(all[0].at("worker"), "instance-1");
  EXPECT_EQ(all[0].at("sequence"), 1);
  EXPECT_EQ(all[0].at("digest").as_string(), digest_of("input"));
  EXPECT_EQ(all[0].at("outcome"), "signed");
  EXPECT_EQ(counter("avseal_hsm_requests_total", {{"key", "signer"}}), 1);
}

TEST_F(KeyringTest, RepliesMayComeInAnyOrder) {
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  for (int i = 0; i < 20; ++i) begin(fmt::format("input {}", i));
  ASSERT_TRUE(run_until([&] { return worker.kept.size() == 20; }));
  worker.answer_kept();
  run_until([&] { return std::all_of(signatures.begin(), signatures.end(), [](auto& one) { return one.result; }); });
  for (const auto& one : signatures) EXPECT_TRUE(verifies(one)) << one.input;
}

TEST_F(KeyringTest, LeastOutstandingWorkerComesFirst) {
  auto& a = add_worker();
  auto& b = add_worker();
  open();
  a.on_request = FakeWorker::keep;
  b.on_request = FakeWorker::keep;
  for (int i = 0; i < 10; ++i) begin(fmt::format("{}", i));
  ASSERT_TRUE(run_until([&] { return a.kept.size() + b.kept.size() == 10; }));
  EXPECT_EQ(a.kept.size(), 5U);
  b.answer_kept();
  run_until([&] { return std::count_if(signatures.begin(), signatures.end(), [](auto& s) { return s.ok(); }) == 5; });
  for (int i = 0; i < 4; ++i) begin(fmt::format("more {}", i));
  run_until([&] { return a.kept.size() + b.kept.size() == 9; });
  EXPECT_EQ(b.kept.size(), 4U);
}

TEST_F(KeyringTest, LostWorkersRequestsAreAnsweredByAnother) {
  auto& dying = add_worker();
  auto& other = add_worker();
  open();
  dying.on_request = FakeWorker::keep;
  for (int i = 0; i < 16; ++i) begin(fmt::format("{}", i));
  ASSERT_TRUE(run_until([&] { return dying.kept.size() + other.seen >= 16 && !dying.kept.empty(); }));
  const auto in_flight = dying.kept.size();
  dying.kill();
  run_until([&] { return std::all_of(signatures.begin(), signatures.end(), [](auto& one) { return one.result; }); });
  for (const auto& one : signatures) EXPECT_TRUE(verifies(one)) << one.input;
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(losses[0].instance, "instance-1");
  EXPECT_EQ(losses[0].in_flight, in_flight);
  EXPECT_EQ(counter("avseal_hsm_discarded_attempts_total", {{"key", "signer"}, {"reason", "worker-lost"}}),
            static_cast<double>(in_flight));
  EXPECT_EQ(uses().size(), 16U);  // nothing twice
}

TEST_F(KeyringTest, ConnectionThatOwesNothingIsNotGivenUp) {
  add_worker();
  open();
  ASSERT_TRUE(sign("before"));
  keyring->give_up_late();
  EXPECT_TRUE(losses.empty());
}

TEST_F(KeyringTest, ConnectionThatOwesWhatNobodyWaitsForIsGivenUp) {
  auto& late = add_worker();
  open();
  late.on_request = FakeWorker::keep;
  const auto& forgotten = begin("forgotten", 100ms);
  ASSERT_TRUE(run_until([&] { return forgotten.result && late.kept.size() == 1; }));
  keyring->give_up_late();
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(losses[0].in_flight, 1U);
  keyring->give_up_late();
  EXPECT_EQ(losses.size(), 1U);
}

TEST_F(KeyringTest, SignaturesThatAreWaitedForAreGivenUpAndNotMadeElsewhere) {
  auto& slow = add_worker();
  auto& other = add_worker();
  open();
  slow.on_request = FakeWorker::keep;
  other.on_request = FakeWorker::keep;
  for (int i = 0; i < 4; ++i) begin(fmt::format("{}", i));
  ASSERT_TRUE(run_until([&] { return slow.kept.size() == 2 && other.kept.size() == 2; }));
  keyring->give_up_late();
  begin("too late");
  run_until([&] { return std::all_of(signatures.begin(), signatures.end(), [](auto& one) { return one.result; }); });
  for (const auto& one : signatures) EXPECT_EQ(one.result->error().reason, "hsm-unavailable") << one.input;
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].in_flight + losses[1].in_flight, 4U);
  for (auto* worker : {&slow, &other}) {
    worker->on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer(request); };
  }
  EXPECT_TRUE(run(keyring->wrap(Secret::copy_of(Bytes(32, 7)), {}, std::chrono::steady_clock::now() + 5s)))
      << "the connections come again";
  EXPECT_EQ(slow.seen + other.seen, 5U) << "and no signature is asked for again";
}

TEST_F(KeyringTest, SignaturesThatWaitForAWorkerAreGivenUp) {
  auto& gone = add_worker();
  open();
  gone.kill();
  run_until([&] { return !keyring->status()[0].can_sign; });
  const auto& waiting = begin("waiting");
  run_until([] { return true; });
  EXPECT_FALSE(waiting.result);
  keyring->give_up_late();
  run_until([&] { return waiting.result.has_value(); });
  EXPECT_EQ(waiting.result->error().reason, "hsm-unavailable");
}

TEST_F(KeyringTest, WaitsForTheReconnectionOfTheOnlyWorker) {
  auto& worker = add_worker();
  open();
  ASSERT_TRUE(sign("before"));
  worker.on_request = FakeWorker::keep;
  const auto& in_flight = begin("in flight");
  ASSERT_TRUE(run_until([&] { return worker.kept.size() == 1; }));
  worker.kill();
  run_until([&] { return !losses.empty(); });
  EXPECT_EQ(losses[0].last_sequences, (std::vector<std::pair<std::string, std::uint64_t>>{{"signer", 1}}));
  EXPECT_FALSE(keyring->status()[0].can_sign);
  const auto& during = begin("during the outage");
  worker.kept.clear();
  worker.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer(request); };
  worker.listen();
  EXPECT_TRUE(counts.empty());
  run_until([&] { return in_flight.result && during.result; });
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts[0].token, "hsm");
  EXPECT_EQ(counts[0].instance, "instance-1");
  EXPECT_EQ(counts[0].last_sequences, losses[0].last_sequences);
  EXPECT_TRUE(verifies(in_flight));
  EXPECT_TRUE(verifies(during));
}

TEST_F(KeyringTest, OutageFailsOnlyWhoseDeadlinePasses) {
  auto& worker = add_worker();
  open();
  worker.kill();
  const auto& patient = begin("waits for the token", 1h);
  const auto failed = sign("waits for its deadline", 300ms);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "hsm-unavailable");
  EXPECT_EQ(failed.error().category, Category::unavailable);
  EXPECT_GT(failed.error().retry_after.count(), 0);
  EXPECT_THAT(failed.error().detail, HasSubstr("1.sock"));
  EXPECT_EQ(counter("avseal_hsm_failures_total", {{"key", "signer"}, {"reason", "hsm-unavailable"}}), 1);
  worker.listen();
  run_until([&] { return patient.result.has_value(); });
  EXPECT_TRUE(verifies(patient));
}

TEST_F(KeyringTest, HungWorkersRequestGoesElsewhereAndItsLateSignatureIsRecorded) {
  config.attempt_limit = 30ms;
  auto& hung = add_worker();
  auto& other = add_worker();
  open();
  hung.on_request = FakeWorker::keep;
  std::vector<Signed*> both{&begin("one"), &begin("two")};  // one for each worker
  run_until([&] { return both[0]->result && both[1]->result; });
  EXPECT_TRUE(verifies(*both[0]));
  EXPECT_TRUE(verifies(*both[1]));
  EXPECT_EQ(other.seen, 2U);
  ASSERT_EQ(hung.kept.size(), 1U);
  EXPECT_EQ(counter("avseal_hsm_discarded_attempts_total", {{"key", "signer"}, {"reason", "late"}}), 1);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(sign("while it owes an answer"));
  EXPECT_EQ(hung.seen, 1U) << "a worker that owes an answer is avoided";

  const std::string late_input(as_text(hung.kept[0].input));
  hung.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer(request); };
  hung.answer_kept();
  run_until([&] { return sign("afterwards").has_value() && hung.seen > 1; });
  const auto all = uses();
  const auto late = std::find_if(all.begin(), all.end(), [](auto& use) { return use.at("outcome") == "discarded"; });
  ASSERT_NE(late, all.end());
  EXPECT_EQ(late->at("worker"), "instance-1");
  EXPECT_EQ(late->at("sequence"), 1);
  EXPECT_EQ(late->at("digest").as_string(), digest_of(late_input));
}

TEST_F(KeyringTest, OnlyWorkersLateAnswerIsUsedAndNothingIsAskedTwice) {
  config.attempt_limit = 20ms;
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  const auto& one = begin("slow");
  run_until([&] {
    return counter("avseal_hsm_discarded_attempts_total", {{"key", "signer"}, {"reason", "late"}}) == 1;
  });
  worker.answer_kept();
  run_until([&] { return one.result.has_value(); });
  EXPECT_TRUE(verifies(one));
  EXPECT_EQ(worker.seen, 1U);
}

TEST_F(KeyringTest, WrongSignatureIsDiscardedAndRepeatedElsewhere) {
  auto& liar = add_worker();
  add_worker();
  open();
  liar.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer_badly(request); };
  for (int i = 0; i < 4; ++i) {
    const auto& one = begin(fmt::format("{}", i));
    run_until([&] { return one.result.has_value(); });
    EXPECT_TRUE(verifies(one));
  }
  const auto wrong = counter("avseal_hsm_discarded_attempts_total", {{"key", "signer"}, {"reason", "bad-signature"}});
  EXPECT_GE(wrong, 1);
  const auto all = uses();
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](auto& use) { return use.at("outcome") == "discarded"; }), wrong);
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](auto& use) { return use.at("outcome") == "signed"; }), 4);
}

TEST_F(KeyringTest, OnlyWrongSignaturesAreAnError) {
  auto& liar = add_worker();
  open();
  liar.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer_badly(request); };
  const auto signature = sign("input");
  ASSERT_FALSE(signature);
  EXPECT_EQ(signature.error().reason, "hsm-bad-signature");
  EXPECT_EQ(liar.seen, 3U);
}

TEST_F(KeyringTest, VerifiesOneInN) {
  config.verify_after_sign = 2;
  auto& worker = add_worker();
  open();
  EXPECT_TRUE(sign("verified"));
  worker.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer_badly(request); };
  EXPECT_TRUE(sign("not verified"));
  EXPECT_EQ(sign("verified again").error().reason, "hsm-bad-signature");
  EXPECT_EQ(sign("verified from now on").error().reason, "hsm-bad-signature");
}

TEST_F(KeyringTest, KeyThatIsNotTheCertificatesStopsTheStart) {
  auto& worker = add_worker();
  worker.hello.keys.clear();
  worker.offer("signer", "avatar-id", SoftKey());
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, "hsm-unavailable");
  EXPECT_THAT(opened.error().detail, HasSubstr("'signer'"));
  EXPECT_THAT(opened.error().detail, HasSubstr("not the certificate's"));
}

TEST_F(KeyringTest, ReplicaWithAnotherKeyIsNeverUsed) {
  auto& wrong = add_worker();
  wrong.hello.keys.clear();
  wrong.offer("signer", "avatar-id", SoftKey());
  wrong.offer_kek("kek");
  add_worker();
  ASSERT_TRUE(try_open());
  ASSERT_TRUE(run_until([&] { return wrong.connections == 1; }));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(sign(fmt::format("{}", i)));
  EXPECT_EQ(wrong.seen, 0U);
  const auto status = keyring->status();
  EXPECT_TRUE(status[0].can_sign);
  EXPECT_THAT(status[0].why_not, HasSubstr("1.sock"));
}

TEST_F(KeyringTest, WorkersThatCannotServeAreNamed) {
  auto& worker = add_worker();
  worker.hello.keys[0].kind = "access-token";
  EXPECT_THAT(try_open().error().detail, HasSubstr("kind access-token, configured is avatar-id"));
  worker.hello.keys.erase(worker.hello.keys.begin());
  EXPECT_THAT(try_open().error().detail, HasSubstr("does not have the key"));
  worker.hello.keys.clear();
  worker.offer("signer", "avatar-id", soft_key);
  worker.offer("signer", "avatar-id", soft_key);
  EXPECT_THAT(try_open().error().detail, HasSubstr("announces the key twice"));
  config.start_limit = 100ms;
  worker.hello.version = 7;
  EXPECT_THAT(try_open().error().detail, HasSubstr("protocol version 7, expected 3"));
  worker.kill();
  EXPECT_THAT(try_open().error().detail, HasSubstr("connecting failed"));
}

TEST_F(KeyringTest, WorkerWithoutHelloIsGivenUpAndTriedAgain) {
  auto& worker = add_worker();
  worker.silent = true;
  config.start_limit = 5s;
  keys = Keys::load(config.keys, to_unix(system_clock_now())).value();
  std::optional<bool> opened;
  asio::co_spawn(context, Keyring::open(config, keys, context.get_executor(), registry),
                 [&](std::exception_ptr, Result<std::unique_ptr<Keyring>> result) {
                   opened = result.has_value();
                   if (result) keyring = std::move(*result);
                 });
  ASSERT_TRUE(run_until([&] { return worker.connections == 1; }));
  worker.silent = false;
  ASSERT_TRUE(run_until([&] { return opened.has_value(); }));
  EXPECT_TRUE(*opened);
  EXPECT_EQ(worker.connections, 2U);
}

TEST_F(KeyringTest, ConfigurationMustFit) {
  add_worker();
  config.keys[0].tokens = {"elsewhere"};
  EXPECT_THAT(try_open().error().detail, HasSubstr("'elsewhere', which is not configured"));
  config.keys[0].tokens = {"hsm"};
  config.window = 0;
  EXPECT_EQ(try_open().error().reason, "key-configuration");
  config.window = 32;
  config.tokens[0].sockets.push_back(std::string(120, 'x'));
  EXPECT_THAT(try_open().error().detail, HasSubstr("longer than 107 bytes"));
}

TEST_F(KeyringTest, FullQueueIsBusyAtOnce) {
  config.window = 2;
  config.max_queue = 3;
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  for (int i = 0; i < 6; ++i) begin(fmt::format("{}", i));
  const auto failed = [&] {
    return std::count_if(signatures.begin(), signatures.end(), [](auto& s) { return s.result.has_value(); });
  };
  run_until([&] { return failed() == 1 && worker.seen >= 2; });
  EXPECT_EQ(worker.seen, 2U);
  worker.on_request = [](FakeWorker& self, const tokend::Request& request) { self.answer(request); };
  worker.answer_kept();
  run_until([&] { return failed() == 6; });
  EXPECT_EQ(std::count_if(signatures.begin(), signatures.end(), [](auto& s) { return s.ok(); }), 5);
  const auto busy = std::find_if(signatures.begin(), signatures.end(), [](auto& s) { return !s.ok(); });
  EXPECT_EQ(busy->result->error().reason, "hsm-busy");
  EXPECT_GT(busy->result->error().retry_after.count(), 0);
}

TEST_F(KeyringTest, DeadlineEndsARequestInFlightAndInTheQueue) {
  config.window = 1;
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  const auto& in_flight = begin("in flight", 50ms);
  const auto& queued = begin("queued", 50ms);
  run_until([&] { return in_flight.result && queued.result; });
  EXPECT_EQ(in_flight.result->error().reason, "deadline");
  EXPECT_EQ(queued.result->error().reason, "deadline");
  EXPECT_EQ(sign("too late", -1ms).error().reason, "deadline");
  EXPECT_EQ(worker.seen, 1U);
}

TEST_F(KeyringTest, RefusalIsFinal) {
  auto& worker = add_worker();
  auto& other = add_worker();
  open();
  std::size_t asked = 0;
  for (const char* reason : {"not-of-key-kind", "crl-number-not-rising", "key-unknown"}) {
    for (auto* one : {&worker, &other}) {
      one->on_request = [reason](FakeWorker& self, const tokend::Request& request) { self.fail(request, reason); };
    }
    EXPECT_EQ(sign("input").error().reason, "hsm-refused") << reason;
    EXPECT_EQ(worker.seen + other.seen, ++asked) << reason;
  }
}

TEST_F(KeyringTest, RateIsTriedElsewhereAndThenRefused) {
  auto& worker = add_worker();
  auto& other = add_worker();
  open();
  for (auto* one : {&worker, &other}) {
    one->on_request = [](FakeWorker& self, const tokend::Request& request) { self.fail(request, "rate-exceeded"); };
  }
  EXPECT_EQ(sign("input").error().reason, "hsm-refused");
  EXPECT_EQ(worker.seen, 1U);
  EXPECT_EQ(other.seen, 1U);
}

TEST_F(KeyringTest, HsmErrorIsTriedElsewhereThenAgainWithPauses) {
  auto& worker = add_worker();
  open();
  worker.on_request = [](FakeWorker& self, const tokend::Request& request) {
    if (self.seen <= 3) return self.fail(request, "hsm-error");
    self.answer(request);
  };
  EXPECT_TRUE(sign("recovers"));
  EXPECT_EQ(worker.seen, 4U);
  worker.on_request = [](FakeWorker& self, const tokend::Request& request) { self.fail(request, "hsm-error"); };
  const auto failed = sign("does not recover", 300ms);
  EXPECT_EQ(failed.error().reason, "hsm-unavailable");
  EXPECT_THAT(failed.error().detail, HasSubstr("hsm-error: as the test says"));
  EXPECT_LT(worker.seen, 20U) << "pauses grow";
}

TEST_F(KeyringTest, FailingWorkerIsAvoided) {
  auto& failing = add_worker();
  add_worker();
  open();
  failing.on_request = [](FakeWorker& self, const tokend::Request& request) { self.fail(request, "worker-busy"); };
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(sign(fmt::format("{}", i)));
  EXPECT_LT(failing.seen, 25U);
}

TEST_F(KeyringTest, UnaskedAnswerEndsTheConnection) {
  auto& worker = add_worker();
  open();
  worker.on_request = [](FakeWorker& self, tokend::Request request) {
    if (self.connections > 1) return self.answer(request);
    request.id += 1;
    self.answer(request);
  };
  EXPECT_TRUE(sign("input"));
  EXPECT_EQ(losses.size(), 1U);
  EXPECT_THAT(losses.at(0).reason, HasSubstr("was not asked"));
}

TEST_F(KeyringTest, OversizedInputIsRefusedHere) {
  auto& worker = add_worker();
  open();
  EXPECT_EQ(sign(std::string(200'000, 'x')).error().reason, "frame-too-large");
  EXPECT_EQ(worker.seen, 0U);
  EXPECT_TRUE(sign("the next"));
}

TEST_F(KeyringTest, WrapsAndUnwrapsUnderTheNamedKey) {
  auto& worker = add_worker();
  open();
  const auto data_key = Secret::random(32);
  const auto soon = std::chrono::steady_clock::now() + 5s;
  const auto wrapped = run(keyring->wrap(data_key, as_bytes("avatar 1"), soon));
  ASSERT_TRUE(wrapped) << wrapped.error().detail;
  EXPECT_EQ(as_text(ByteView(*wrapped).subspan(2, 3)), "kek");
  const auto plain = run(keyring->unwrap(*wrapped, as_bytes("avatar 1"), soon));
  ASSERT_TRUE(plain) << plain.error().detail;
  EXPECT_TRUE(plain->equals(data_key.reveal()));

  const auto refused = [&](const Bytes& bytes, std::string_view aad) {
    return run(keyring->unwrap(bytes, as_bytes(aad), soon)).error().reason;
  };
  EXPECT_EQ(refused(*wrapped, "avatar 2"), "wrapped-key-malformed");
  const auto asked = worker.seen;
  EXPECT_EQ(refused({}, ""), "wrapped-key-malformed");
  EXPECT_EQ(refused({2, 3, 'k', 'e', 'k', 1}, ""), "wrapped-key-malformed");
  EXPECT_EQ(refused({1, 3, 'k', 'e', 'k'}, ""), "wrapped-key-malformed");
  EXPECT_EQ(refused({1, 6, 's', 'i', 'g', 'n', 'e', 'r', 1}, ""), "wrapped-key-malformed");
  EXPECT_EQ(refused(Bytes(5000, 1), ""), "wrapped-key-malformed");
  EXPECT_EQ(worker.seen, asked);
}

TEST_F(KeyringTest, WrapNeedsAKek) {
  config.keys.pop_back();
  add_worker();
  open();
  const auto data_key = Secret::random(32);
  EXPECT_EQ(run(keyring->wrap(data_key, {}, std::chrono::steady_clock::now() + 1s)).error().reason,
            "key-not-configured");
}

TEST_F(KeyringTest, ProbeTellsWhichWorkersPass) {
  config.attempt_limit = 50ms;
  auto& good = add_worker();
  auto& bad = add_worker();
  auto& hung = add_worker();
  open();
  bad.on_request = [](FakeWorker& self, const tokend::Request& request) { self.fail(request, "hsm-error"); };
  hung.on_request = FakeWorker::keep;
  const auto status = run(keyring->probe());
  ASSERT_EQ(status.size(), 2U);
  for (const auto& key : status) {
    EXPECT_TRUE(key.can_sign);
    EXPECT_THAT(key.why_not, HasSubstr("2.sock"));
    EXPECT_THAT(key.why_not, HasSubstr("3.sock"));
    EXPECT_THAT(key.why_not, Not(HasSubstr("1.sock")));
  }
  EXPECT_GE(good.probes, 2U) << "each key";
}

TEST_F(KeyringTest, SignsCheckpointsForWhoHasAPermit) {
  SoftKey log_key;
  write_file(dir / "ledger.pem", log_key.public_pem());
  config.keys.push_back({"log", KeyKind::ledger, dir / "ledger.pem", {"hsm"}, true});
  auto& worker = add_worker();
  worker.offer("log", "ledger", log_key);
  open();
  const auto permit = ledger::Checkpointer::permit();
  const auto key = keyring->keys().primary(KeyKind::ledger).value();
  std::optional<Result<ledger::CheckpointSignature>> signature_or_not;
  auto signing = [&]() -> asio::awaitable<bool> {
    signature_or_not.emplace(
        co_await keyring->sign_checkpoint(permit, *key, "op/node\n1\nroot\n", std::chrono::steady_clock::now() + 5s));
    co_return true;
  };
  run(signing());
  const auto& signature = *signature_or_not;
  ASSERT_TRUE(signature) << signature.error().detail;
  EXPECT_TRUE(log_key.public_key().verify(as_bytes("op/node\n1\nroot\n"), signature->raw));
  ASSERT_EQ(signature->uses.size(), 1U);
  EXPECT_EQ(signature->uses[0].key, "log");
  EXPECT_EQ(signature->uses[0].worker, "instance-1");
  EXPECT_EQ(signature->uses[0].sequence, 1U);
  EXPECT_EQ(signature->uses[0].outcome, "signed");
}

TEST_F(KeyringTest, CloseFailsWhatWaits) {
  config.window = 1;
  auto& worker = add_worker();
  open();
  worker.on_request = FakeWorker::keep;
  const auto& in_flight = begin("in flight");
  const auto& queued = begin("queued");
  run_until([&] { return worker.seen == 1; });
  keyring->close();
  run_until([&] { return in_flight.result && queued.result; });
  EXPECT_EQ(in_flight.result->error().reason, "hsm-unavailable");
  EXPECT_EQ(queued.result->error().reason, "hsm-unavailable");
  EXPECT_EQ(sign("afterwards").error().reason, "hsm-unavailable");
  ASSERT_EQ(losses.size(), 1U) << "of what may have been signed and is heard of by nobody";
  EXPECT_EQ(losses[0].in_flight, 1U);
}

// One of two workers dies again and again under load: no failure, and no signature twice.
TEST_F(KeyringTest, DyingWorkerUnderLoadCostsNoRequest) {
  auto& dying = add_worker();
  add_worker();
  open();
  dying.on_request = [](FakeWorker& self, tokend::Request request) {
    if (self.seen % 2 == 0) return self.answer(request);
    self.kept.push_back(std::move(request));
  };
  std::size_t begun = 0;
  for (std::size_t deaths = 1; deaths <= 15; ++deaths) {
    for (int i = 0; i < 40; ++i) begin(fmt::format("{}", begun++));
    run_until([&] { return dying.kept.size() >= 5; });
    dying.kill();
    run_until([&] { return losses.size() == deaths; });
    EXPECT_GE(losses.back().in_flight, 5U);
    dying.kept.clear();
    dying.hello.instance = fmt::format("life-{}", deaths);
    dying.listen();
    run_until([&] { return keyring->status()[0].why_not.empty(); });
  }
  run_until([&] { return std::all_of(signatures.begin(), signatures.end(), [](auto& one) { return one.result; }); });
  for (const auto& one : signatures) EXPECT_TRUE(verifies(one)) << one.input;
  std::set<std::string> digests;
  for (const auto& use : uses()) {
    EXPECT_EQ(use.at("outcome"), "signed");
    EXPECT_TRUE(digests.insert(std::string(use.at("digest").as_string())).second);
  }
  EXPECT_EQ(digests.size(), begun);
}

}  // namespace
}  // namespace avseal::keyring::testing
