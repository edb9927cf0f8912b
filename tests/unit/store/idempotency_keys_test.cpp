#include "support.hpp"

namespace avseal::store::test {
namespace {

using Kind = IdempotencyState::Kind;

class IdempotencyKeysTest : public Fixture {
 protected:
  void SetUp() override {
    *now = 100;
    store = open();
  }

  // An attempt of ten seconds at `at`, remembered for a minute.
  Result<IdempotencyState> begin(const std::string& key, UnixSeconds at, const std::string& digest = "digest",
                                 const std::string& client = "ims-as-1") {
    return run(store->idempotency_keys().begin({key, client, digest, at, at + 10, at + 60}));
  }
  Result<void> complete(const std::string& key, std::int64_t attempt, const std::string& answer) {
    return run(store->idempotency_keys().complete(key, attempt, answer));
  }
  std::string count(const std::string& sql) { return Intruder(file).text("SELECT " + sql); }
  std::string live(const std::string& client) {
    return count("live FROM idempotency_count WHERE client = '" + client + "'");
  }

  std::shared_ptr<Store> store;
};

TEST_F(IdempotencyKeysTest, OneAnswerForOneKey) {
  const auto first = begin("key", 100).value();
  EXPECT_EQ(first.kind, Kind::begun);
  const auto early = begin("key", 110).value();
  EXPECT_EQ(early.kind, Kind::in_progress);
  EXPECT_EQ(early.busy_until, 110);
  ASSERT_TRUE(complete("key", first.attempt, "answer"));
  for (const UnixSeconds at : {101, 111, 160}) {
    const auto again = begin("key", at).value();
    EXPECT_EQ(again.kind, Kind::completed) << at;
    EXPECT_EQ(again.answer, "answer");
  }
  EXPECT_EQ(begin("key", 101, "another").value().kind, Kind::other_request);
  EXPECT_EQ(begin("other key", 101, "another").value().kind, Kind::begun);
}

TEST_F(IdempotencyKeysTest, AnExpiredKeyIsFree) {
  const auto first = begin("key", 100).value();
  ASSERT_TRUE(complete("key", first.attempt, "answer"));
  EXPECT_EQ(begin("key", 160, "another").value().kind, Kind::other_request);
  const auto second = begin("key", 161, "another").value();
  EXPECT_EQ(second.kind, Kind::begun);
  EXPECT_EQ(complete("key", first.attempt, "late").error().reason, "idempotency-attempt-lost");
  ASSERT_TRUE(complete("key", second.attempt, "second answer"));
  EXPECT_EQ(begin("key", 162, "another").value().answer, "second answer");
}

TEST_F(IdempotencyKeysTest, AnAttemptThatDiedGivesWayAndCannotComplete) {
  const auto dead = begin("key", 100).value();
  EXPECT_EQ(begin("key", 111, "another").value().kind, Kind::other_request);
  const auto next = begin("key", 111).value();
  EXPECT_EQ(next.kind, Kind::begun);
  EXPECT_NE(next.attempt, dead.attempt);
  const auto late = complete("key", dead.attempt, "late");
  EXPECT_EQ(late.error().reason, "idempotency-attempt-lost");
  EXPECT_EQ(late.error().category, Category::timeout);
  ASSERT_TRUE(run(store->idempotency_keys().abandon("key", dead.attempt)));
  EXPECT_EQ(begin("key", 112).value().kind, Kind::in_progress) << "only the attempt itself is abandoned";
  ASSERT_TRUE(complete("key", next.attempt, "answer"));
  EXPECT_EQ(complete("key", next.attempt, "twice").error().reason, "idempotency-attempt-lost");
  EXPECT_EQ(begin("key", 113).value().answer, "answer");
}

TEST_F(IdempotencyKeysTest, AFailedAttemptMayBeRepeatedAtOnce) {
  const auto failed = begin("key", 100).value();
  ASSERT_TRUE(run(store->idempotency_keys().abandon("key", failed.attempt)));
  const auto next = begin("key", 100, "another").value();
  EXPECT_EQ(next.kind, Kind::begun);
  ASSERT_TRUE(complete("key", next.attempt, "answer"));
  ASSERT_TRUE(run(store->idempotency_keys().abandon("key", next.attempt)));
  EXPECT_EQ(begin("key", 101, "another").value().kind, Kind::completed) << "an answer is not abandoned";
}

TEST_F(IdempotencyKeysTest, SurviveARestartAndAreSeenByAnotherProcess) {
  const auto first = begin("key", 100).value();
  const auto other = open();
  EXPECT_EQ(run(other->idempotency_keys().begin({"key", "ims-as-1", "digest", 101, 111, 161}))->kind,
            Kind::in_progress);
  ASSERT_TRUE(complete("key", first.attempt, "answer"));
  store->close();
  store = open();
  EXPECT_EQ(begin("key", 101).value().answer, "answer");
}

TEST_F(IdempotencyKeysTest, AreForgottenAsNewOnesCome) {
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(begin(fmt::format("old-{}", i), 100));
  EXPECT_EQ(live(""), "6");
  ASSERT_TRUE(begin("new-1", 190));
  EXPECT_EQ(count("count(*) FROM idempotency_key"), "7") << "clocks may differ by half a minute";
  ASSERT_TRUE(begin("new-2", 191, "digest", "ims-as-2"));
  EXPECT_EQ(count("count(*) FROM idempotency_key"), "6");
  EXPECT_EQ(live(""), "6");
  EXPECT_EQ(live("ims-as-1"), "5");
  EXPECT_EQ(live("ims-as-2"), "1");
  store->close();
  *now = 281;
  store = open();
  EXPECT_EQ(count("count(*) FROM idempotency_key"), "1") << "what no attempt forgot, the minute's turn does";
  EXPECT_EQ(live(""), "1");
}

TEST_F(IdempotencyKeysTest, AreBoundedPerClientAndInAll) {
  ASSERT_TRUE(begin("key", 100));
  Intruder(file).run("UPDATE idempotency_count SET live = 250000");
  const auto refused = begin("key-2", 100);
  EXPECT_EQ(refused.error().reason, "idempotency-keys-exhausted");
  EXPECT_EQ(refused.error().category, Category::too_many_requests);
  EXPECT_GT(refused.error().retry_after.count(), 0);
  EXPECT_EQ(begin("key", 100).value().kind, Kind::in_progress) << "known ones are answered";
  EXPECT_TRUE(begin("key-3", 100, "digest", "ims-as-2"));
  Intruder(file).run("UPDATE idempotency_count SET live = 1000000 WHERE client = ''");
  EXPECT_EQ(begin("key-4", 100, "digest", "ims-as-3").error().reason, "idempotency-keys-exhausted");
}

TEST_F(IdempotencyKeysTest, TheFileDoesNotTellTheRequest) {
  ASSERT_TRUE(begin("key", 100, "a digest that can be guessed"));
  std::ifstream in(file.string() + "-wal", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NE(bytes.find("ims-as-1"), std::string::npos);
  EXPECT_EQ(bytes.find("a digest that can be guessed"), std::string::npos);
}

struct EditedAttempt : IdempotencyKeysTest, ::testing::WithParamInterface<const char*> {};

TEST_P(EditedAttempt, IsRefusedAndReported) {
  const auto first = begin("key", 100).value();
  ASSERT_TRUE(complete("key", first.attempt, "answer"));
  ASSERT_EQ(Intruder(file).run(std::string("UPDATE idempotency_key SET ") + GetParam()), 1);
  EXPECT_EQ(begin("key", 101).error().reason, "store-row-forged");
  EXPECT_EQ(forged("idempotency_key"), "1");
}

INSTANTIATE_TEST_SUITE_P(EachColumn, EditedAttempt,
                         ::testing::Values("client = 'ims-as-2'", "request = zeroblob(32)", "attempt = 1",
                                           "busy_until = 1000", "expires = 1000", "answer = 'false'", "answer = ''",
                                           "seal = zeroblob(32)"));

TEST_F(IdempotencyKeysTest, ARowCopiedToAnotherKeyIsRefused) {
  const auto first = begin("key", 100).value();
  ASSERT_TRUE(complete("key", first.attempt, "answer"));
  Intruder(file).run(
      "INSERT INTO idempotency_key SELECT 'key-2', client, request, attempt, busy_until, expires, answer, seal FROM "
      "idempotency_key");
  EXPECT_EQ(begin("key-2", 101).error().reason, "store-row-forged");
}

}  // namespace
}  // namespace avseal::store::test
