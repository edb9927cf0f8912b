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
  const Handle srk = create_srk(*context).value();
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
      AVSEAL_TRY(Handle srk, create_srk(context));
      AVSEAL_TRY(Session session, Session::start(context, srk, made_.srk_name));
      AVSEAL_TRY(Handle key, load_ue_key(context, srk, session, made_.blob, auth_));
      return LoadedKey{std::move(srk), std::move(session), std::move(key)};
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

}  // namespace
}  // namespace avseal::tpm
