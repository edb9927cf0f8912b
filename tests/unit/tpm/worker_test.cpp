#include "tpm/worker.hpp"

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/digest.hpp"

namespace avseal::tpm {
namespace {

using test::Relay;
using test::Swtpm;

struct MadeKey {
  KeyBlob blob;
  Bytes srk_name;
};

MadeKey make_key(const std::string& tcti, const Secret& auth) {
  const auto context = Context::open(tcti).value();
  const Handle srk = create_srk(*context).value().handle;
  MadeKey made;
  made.srk_name = srk.name().value();
  Session session = Session::start(*context, srk, made.srk_name).value();
  made.blob = create_ue_key(*context, srk, session, auth).value();
  return made;
}

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() : made_(make_key(tpm_.tcti(), auth_)) {}

  Loader loader() {
    return [this](Context& context) -> Result<LoadedKey> {
      ++loads_;
      AVSEAL_TRY(Primary srk, create_srk(context));
      AVSEAL_TRY(Session session, Session::start(context, srk.handle, made_.srk_name));
      AVSEAL_TRY(Handle key, load_ue_key(context, srk.handle, session, made_.blob, auth_));
      return LoadedKey{std::move(srk.handle), std::move(session), std::move(key)};
    };
  }

  static Result<Bytes> sign(Worker& worker) {
    return worker.run([](Context& context, LoadedKey& loaded) {
      return sign_digest(context, loaded.key, loaded.session, tokens::sha256(as_bytes("m")));
    });
  }

  void expect_signature(const Result<Bytes>& signature) {
    ASSERT_TRUE(signature) << signature.error().detail;
    EXPECT_TRUE(public_key_of(made_.blob.public_area).value().verify(as_bytes("m"), *signature));
  }

  Swtpm tpm_;
  Secret auth_ = Secret::copy_of(Bytes(32, 0x5A));
  MadeKey made_;
  std::atomic<int> loads_{0};
};

TEST_F(WorkerTest, LoadsTheKeyOnce) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  for (int i = 0; i < 4; ++i) expect_signature(sign(*worker));
  EXPECT_EQ(loads_, 1);
}

TEST_F(WorkerTest, TpmResetUnderALiveContextIsNotNoticed) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  expect_signature(sign(*worker));
  tpm_.restart();
  expect_signature(sign(*worker));
  EXPECT_EQ(loads_, 2);
}

TEST_F(WorkerTest, CutConnectionIsMendedWithinTheRequest) {
  Relay relay(tpm_);
  const auto worker = Worker::start(relay.tcti(), loader());
  expect_signature(sign(*worker));
  for (int cuts = 1; cuts < 8; ++cuts) {  // swtpm has three slots for objects and three for sessions
    relay.cut_next(1);
    expect_signature(sign(*worker));
    expect_signature(sign(*worker));
    EXPECT_EQ(loads_, 1 + cuts);
  }
}

TEST_F(WorkerTest, TpmAwayIsSaidAndItsReturnIsNoticed) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  expect_signature(sign(*worker));
  tpm_.stop();
  for (int i = 0; i < 2; ++i) {
    const auto away = sign(*worker);
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().reason, "tpm-transport");
    EXPECT_EQ(away.error().category, Category::unavailable);
  }
  tpm_.start();
  expect_signature(sign(*worker));
}

TEST_F(WorkerTest, ClearedTpmIsSaid) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  expect_signature(sign(*worker));
  ASSERT_EQ(tpm_.tool("tpm2_clear -Q"), 0);
  const auto cleared = sign(*worker);
  ASSERT_FALSE(cleared);
  EXPECT_EQ(cleared.error().reason, "tpm-srk-mismatch");
  EXPECT_THAT(cleared.error().detail, ::testing::HasSubstr("enroll again"));
}

TEST_F(WorkerTest, OtherErrorsAreNotRepeated) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  const auto runs = std::make_shared<int>(0);
  const auto refused = worker->run([runs](Context&, LoadedKey&) -> Result<Bytes> {
    ++*runs;
    return errors::from_rc(0x9A2, "TPM2_Sign");
  });
  EXPECT_FALSE(refused);
  EXPECT_EQ(*runs, 1);
  EXPECT_EQ(loads_, 1);
}

TEST_F(WorkerTest, JobThatKeepsLosingTheTpmIsRunTwice) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  const auto runs = std::make_shared<int>(0);
  const auto lost = worker->run([runs](Context&, LoadedKey&) -> Result<Bytes> {
    ++*runs;
    return errors::from_rc(0xA000A, "TPM2_Sign");
  });
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().reason, "tpm-transport");
  EXPECT_EQ(*runs, 2);
}

TEST_F(WorkerTest, FullQueueRefusesAtOnce) {
  const auto worker = Worker::start(tpm_.tcti(), loader(), {.queue = 1});
  std::promise<void> release;
  std::promise<void> entered;
  auto busy = std::async(std::launch::async, [&] {
    return worker->run([&](Context&, LoadedKey&) {
      entered.set_value();
      release.get_future().wait();
      return Result<Bytes>(Bytes{});
    });
  });
  entered.get_future().wait();
  // One waits in the queue; of two more that come, at least one finds it full.
  auto first = std::async(std::launch::async, [&] { return sign(*worker); });
  auto second = std::async(std::launch::async, [&] { return sign(*worker); });
  ASSERT_TRUE(test::eventually([&] {
    return first.wait_for(std::chrono::seconds(0)) == std::future_status::ready ||
           second.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }));
  release.set_value();
  const auto a = first.get();
  const auto b = second.get();
  ASSERT_NE(a.has_value(), b.has_value());
  EXPECT_EQ((a ? b : a).error().reason, "tpm-queue-full");
  EXPECT_TRUE(busy.get());
}

TEST_F(WorkerTest, HangingTpmIsNotWaitedForForEver) {
  const auto worker = Worker::start(tpm_.tcti(), loader(), {.wait = std::chrono::milliseconds(300)});
  tpm_.freeze();
  const auto late = sign(*worker);
  tpm_.resume();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, "tpm-timeout");
}

// --- what takes the slots, and what gives them back

Handle start_session(Context& context) {
  constexpr TPMT_SYM_DEF none{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
  ESYS_TR session = ESYS_TR_NONE;
  EXPECT_EQ(Esys_StartAuthSession(context.native(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, nullptr, TPM2_SE_HMAC, &none, TPM2_ALG_SHA256, &session),
            TSS2_RC_SUCCESS);
  return Handle(context, session, Handle::Kind::flushed);
}

TEST_F(WorkerTest, JobAloneHasTheSlotsAndTheKeyIsLoadedAgain) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  expect_signature(sign(*worker));
  const auto alone = worker->run_alone([](Context& context) -> Result<Bytes> {
    std::vector<Primary> three;
    for (int i = 0; i < 3; ++i) {
      AVSEAL_TRY(Primary made, create_srk(context));
      three.push_back(std::move(made));
    }
    return Bytes{1};
  });
  ASSERT_TRUE(alone) << alone.error().detail;
  EXPECT_EQ(*alone, Bytes{1});
  expect_signature(sign(*worker));
  EXPECT_EQ(loads_, 2);
}

class FullTpmTest : public WorkerTest {
 protected:
  // Another program without a resource manager.
  std::unique_ptr<Context> other_ = Context::open(tpm_.tcti()).value();
  std::vector<Handle> held_;

  void fill_objects() {
    for (int i = 0; i < 3; ++i) held_.push_back(create_srk(*other_).value().handle);
  }
  void fill_sessions() {
    for (int i = 0; i < 3; ++i) held_.push_back(start_session(*other_));
  }

  void expect_exhausted(const std::string& advice) {
    const auto worker = Worker::start(tpm_.tcti(), loader(), {.wait_for_slots = std::chrono::milliseconds(60)});
    const auto refused = sign(*worker);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "tpm-slots-exhausted");
    EXPECT_EQ(refused.error().category, Category::unavailable);
    EXPECT_THAT(refused.error().detail, ::testing::HasSubstr(advice));
  }
  // Slots that come free while the job waits are taken.
  void expect_patience() {
    const auto worker = Worker::start(tpm_.tcti(), loader(), {.wait_for_slots = std::chrono::seconds(20)});
    auto waiting = std::async(std::launch::async, [&] { return sign(*worker); });
    ASSERT_TRUE(test::eventually([&] { return loads_ > 1; })) << "tried again";
    held_.clear();
    expect_signature(waiting.get());
  }
};

TEST_F(FullTpmTest, NoObjectSlotIsSaid) {
  fill_objects();
  expect_exhausted("tpm2_flushcontext -t");
}
TEST_F(FullTpmTest, NoSessionSlotIsSaid) {
  fill_sessions();
  expect_exhausted("tpm2_flushcontext -l");
}
TEST_F(FullTpmTest, FreedObjectSlotsAreTaken) {
  fill_objects();
  expect_patience();
}
TEST_F(FullTpmTest, FreedSessionSlotsAreTaken) {
  fill_sessions();
  expect_patience();
}

// Each holds a session and two objects, of three each: they can only work by giving the slots back to each other.
TEST_F(WorkerTest, FourClientsAtOnceShareThreeSlots) {
  std::vector<std::future<int>> clients;
  for (int c = 0; c < 4; ++c) {
    clients.push_back(std::async(std::launch::async, [&] {
      int good = 0;
      for (int i = 0; i < 5; ++i) {
        const auto worker = Worker::start(tpm_.tcti(), loader(), {.wait_for_slots = std::chrono::seconds(60)});
        const auto signature = sign(*worker);
        EXPECT_TRUE(signature) << signature.error().detail;
        good += signature && public_key_of(made_.blob.public_area).value().verify(as_bytes("m"), *signature) ? 1 : 0;
      }
      return good;
    }));
  }
  for (auto& client : clients) EXPECT_EQ(client.get(), 5);
  EXPECT_EQ(tpm_.tool("test -z \"$(tpm2_getcap handles-transient)$(tpm2_getcap handles-loaded-session)\""), 0);
}

// --- codes that ask for another try

class BusyTest : public WorkerTest, public ::testing::WithParamInterface<TPM2_RC> {};

TEST_P(BusyTest, IsTriedAgainWithPausesAndThenSaid) {
  Relay relay(tpm_);
  const auto worker = Worker::start(relay.tcti(), loader());
  expect_signature(sign(*worker));
  for (int refusals = 1; refusals < 4; ++refusals) {
    relay.refuse_next(refusals, GetParam());
    expect_signature(sign(*worker));
  }
  EXPECT_EQ(loads_, 1) << "context and key stay as they are";
  relay.refuse_next(1000, GetParam());
  const auto busy = sign(*worker);
  relay.refuse_next(0, 0);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().reason, "tpm-busy");
  EXPECT_EQ(busy.error().category, Category::unavailable);
  expect_signature(sign(*worker));
}

INSTANTIATE_TEST_SUITE_P(Codes, BusyTest,
                         ::testing::Values(TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_TESTING, TPM2_RC_NV_RATE,
                                           TPM2_RC_NV_UNAVAILABLE, TPM2_RC_MEMORY));

// --- the session that nobody loads any more

TEST_F(WorkerTest, ContextGapOfOthersDoesNotReachALoadedSession) {
  const auto worker = Worker::start(tpm_.tcti(), loader());
  expect_signature(sign(*worker));
  const auto other = Context::open(tpm_.tcti()).value();
  Handle left = start_session(*other);
  TPMS_CONTEXT* idle = nullptr;
  ASSERT_EQ(Esys_ContextSave(other->native(), left.get(), &idle), TSS2_RC_SUCCESS);
  Handle busy = start_session(*other);
  ESYS_TR session = busy.get();
  TSS2_RC rc = TSS2_RC_SUCCESS;
  for (int i = 0; i < 0x11000 && rc == TSS2_RC_SUCCESS; ++i) {  // the gap of swtpm is 0xFFFF
    TPMS_CONTEXT* saved = nullptr;
    rc = Esys_ContextSave(other->native(), session, &saved);
    if (rc == TSS2_RC_SUCCESS) rc = Esys_ContextLoad(other->native(), saved, &session);
    Esys_Free(saved);
  }
  EXPECT_EQ(rc, TPM2_RC_CONTEXT_GAP);
  Esys_Free(idle);
  expect_signature(sign(*worker));
}

// A resource manager that cannot save our session says so instead of the TPM.
TEST_F(WorkerTest, ContextGapIsMendedByANewSessionOrSaid) {
  Relay relay(tpm_);
  const auto worker = Worker::start(relay.tcti(), loader());
  expect_signature(sign(*worker));
  relay.refuse_next(1, TPM2_RC_CONTEXT_GAP);
  expect_signature(sign(*worker));
  EXPECT_EQ(loads_, 2);
  relay.refuse_next(1000, TPM2_RC_CONTEXT_GAP);
  const auto refused = sign(*worker);
  relay.refuse_next(0, 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-state-lost");
  EXPECT_THAT(refused.error().detail, ::testing::HasSubstr("too old"));
  expect_signature(sign(*worker));
}

// --- unclean stops

TEST_F(WorkerTest, LockoutAfterUncleanStopsLeavesOurKeyAlone) {
  // A key without noDA, used before each power loss: with the right password.
  ASSERT_EQ(tpm_.tool("tpm2_createprimary -Q -C o -G ecc -c p && tpm2_evictcontrol -Q -C o -c p 0x81000005 && "
                      "tpm2_flushcontext -t && tpm2_create -Q -C 0x81000005 -G ecc -p secret -u u -r r && echo x >m"),
            0);
  const std::string use =
      "tpm2_load -Q -C 0x81000005 -u u -r r -c k && tpm2_flushcontext -t && "
      "tpm2_sign -Q -c k -p secret -o signature m && tpm2_flushcontext -t";
  int uses = 0;
  while (uses < 10 && tpm_.tool(use + " 2>/dev/null") == 0) {
    ++uses;
    tpm_.restart();
  }
  ASSERT_LT(uses, 10) << "this TPM does not count unclean stops";
  ASSERT_EQ(tpm_.tool("tpm2_getcap properties-variable | grep -q 'inLockout: *1'"), 0);
  const auto worker = Worker::start(tpm_.tcti(), loader());
  expect_signature(sign(*worker));
}

TEST_F(WorkerTest, OrderlyStopsLeaveTheTpmInOrder) {
  for (int i = 0; i < 5; ++i) {
    {
      const auto worker = Worker::start(tpm_.tcti(), loader());
      expect_signature(sign(*worker));
    }
    tpm_.restart();
    ASSERT_EQ(tpm_.tool("tpm2_readclock | grep -q 'safe: yes'"), 0) << i;
  }
}

TEST_F(WorkerTest, TimesAreReportedApart) {
  std::vector<WorkerTimes> heard;
  std::promise<void> release;
  const auto worker =
      Worker::start(tpm_.tcti(), loader(), {.on_times = [&](const WorkerTimes& times) { heard.push_back(times); }});
  expect_signature(sign(*worker));
  std::promise<void> entered;
  auto busy = std::async(std::launch::async, [&] {
    return worker->run([&](Context&, LoadedKey&) {
      entered.set_value();
      release.get_future().wait();
      return Result<Bytes>(Bytes{});
    });
  });
  entered.get_future().wait();
  auto second = std::async(std::launch::async, [&] { return sign(*worker); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  release.set_value();
  ASSERT_TRUE(busy.get());
  expect_signature(second.get());
  ASSERT_EQ(heard.size(), 3U);
  EXPECT_GT(heard[0].load.count(), 0);
  EXPECT_GT(heard[0].tpm.count(), 0);
  EXPECT_EQ(heard[2].load.count(), 0) << "the key was loaded";
  EXPECT_GT(heard[2].tpm.count(), 0);
  EXPECT_GT(heard[2].queue.count(), 0) << "behind the other one";
}

}  // namespace
}  // namespace avseal::tpm
