#include "support.hpp"

namespace avseal::store::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class StoreTest : public Fixture {
 protected:
  void SetUp() override { store = open(); }
  void reopen() {
    store->close();
    store = open();
  }
  std::shared_ptr<Store> store;
};

class SubscriptionsTest : public StoreTest {};

TEST_F(SubscriptionsTest, ArePutFoundReplacedAndErased) {
  auto& subscriptions = store->subscriptions();
  const auto alice = impu("sip:alice@a.example");
  EXPECT_FALSE(*run(subscriptions.find(alice)));
  EXPECT_EQ(*run(subscriptions.put({alice, {{"urn:uuid:1", {"xr-meeting", "game"}}, {"urn:uuid:2", {}}}, 0})), 1);
  EXPECT_EQ(*run(subscriptions.put({alice, {{"urn:uuid:2", {"xr-meeting"}}}, 0})), 2);
  const auto found = *run(subscriptions.find(alice));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->impu, alice);
  EXPECT_EQ(found->version, 2);
  ASSERT_EQ(found->avatars.size(), 1U);
  EXPECT_EQ(found->avatars[0].id, "urn:uuid:2");
  EXPECT_THAT(found->avatars[0].applications, ElementsAre("xr-meeting"));
  EXPECT_TRUE(*run(subscriptions.erase(alice)));
  EXPECT_FALSE(*run(subscriptions.erase(alice)));
  EXPECT_FALSE(*run(subscriptions.find(alice)));
}

TEST_F(SubscriptionsTest, SurviveARestart) {
  ASSERT_TRUE(run(store->subscriptions().put({impu("tel:+17035550001"), {{"urn:uuid:1", {"a"}}}, 0})));
  reopen();
  EXPECT_TRUE(*run(store->subscriptions().find(impu("sip:+17035550001@h;user=phone"))));
}

class AvatarsTest : public StoreTest {
 protected:
  Result<std::optional<std::string>> publish(std::int64_t version, const std::string& name, std::int64_t expected) {
    EXPECT_TRUE(run(store->avatars().stage(content(name))));
    return run(store->avatars().publish(avatar(version, name), expected));
  }
};

TEST_F(AvatarsTest, PublishKeepsEveryMember) {
  ASSERT_TRUE(publish(1, "file-1", 0));
  const auto found = *run(store->avatars().find("urn:uuid:1"));
  ASSERT_TRUE(found);
  const auto expected = avatar(1, "file-1");
  EXPECT_EQ(found->id, expected.id);
  EXPECT_EQ(found->owner, expected.owner);
  EXPECT_EQ(found->version, 1);
  EXPECT_EQ(found->content_digest, expected.content_digest);
  EXPECT_EQ(found->content_size, expected.content_size);
  EXPECT_EQ(found->content_type, expected.content_type);
  EXPECT_EQ(found->content_file, "file-1");
  EXPECT_EQ(found->wrapped_key, expected.wrapped_key);
  EXPECT_EQ(found->members, expected.members);
  EXPECT_FALSE(found->withdrawn);
  EXPECT_FALSE(*run(store->avatars().find("urn:uuid:2")));
}

TEST_F(AvatarsTest, PublishReplacesOnlyTheExpectedVersion) {
  EXPECT_EQ(*publish(1, "file-1", 0), std::nullopt);
  for (const std::int64_t expected : {0, 2, 7}) {
    const auto refused = publish(2, "file-2", expected);
    EXPECT_EQ(refused.error().reason, "avatar-version-conflict") << expected;
    EXPECT_EQ(refused.error().category, Category::precondition_failed);
  }
  EXPECT_EQ(publish(1, "file-2", 1).error().reason, "avatar-version-conflict") << "the version must rise";
  EXPECT_EQ(*publish(2, "file-2", 1), "file-1") << "the file that may be deleted";
  EXPECT_EQ((*run(store->avatars().find("urn:uuid:1")))->version, 2);
}

TEST_F(AvatarsTest, PublishConsumesTheStagedContent) {
  ASSERT_TRUE(publish(1, "file-1", 0));
  EXPECT_FALSE(*run(store->avatars().staged("urn:uuid:1", "sha-256-file-1")));
  const auto refused = run(store->avatars().publish(avatar(2, "file-2"), 1));
  EXPECT_EQ(refused.error().reason, "avatar-content-missing");
  EXPECT_EQ((*run(store->avatars().find("urn:uuid:1")))->version, 1);
}

TEST_F(AvatarsTest, PublishOfNewMetadataKeepsTheFile) {
  ASSERT_TRUE(publish(1, "file-1", 0));
  auto record = avatar(2, "file-1");
  record.members["name"] = "Alice B.";
  EXPECT_EQ(*run(store->avatars().publish(record, 1)), std::nullopt);
  EXPECT_EQ((*run(store->avatars().find("urn:uuid:1")))->members.at("name"), "Alice B.");
}

TEST_F(AvatarsTest, RefusedPublishKeepsTheStagedContent) {
  ASSERT_TRUE(publish(1, "file-1", 0));
  ASSERT_FALSE(publish(2, "file-2", 9));
  EXPECT_TRUE(*run(store->avatars().staged("urn:uuid:1", "sha-256-file-2")));
}

TEST_F(AvatarsTest, WithdrawForgetsFileAndKeyAndVersionsGoOnRising) {
  ASSERT_TRUE(publish(1, "file-1", 0));
  EXPECT_EQ(run(store->avatars().withdraw("urn:uuid:1", 2)).error().reason, "avatar-version-conflict");
  EXPECT_EQ(run(store->avatars().withdraw("urn:uuid:9", 1)).error().reason, "avatar-version-conflict");
  EXPECT_EQ(*run(store->avatars().withdraw("urn:uuid:1", 1)), "file-1");
  const auto gone = *run(store->avatars().find("urn:uuid:1"));
  ASSERT_TRUE(gone);
  EXPECT_TRUE(gone->withdrawn);
  EXPECT_THAT(gone->wrapped_key, IsEmpty());
  EXPECT_THAT(gone->content_file, IsEmpty());
  EXPECT_FALSE(run(store->avatars().withdraw("urn:uuid:1", 1)));
  EXPECT_EQ(publish(1, "file-2", 0).error().reason, "avatar-version-conflict");
  EXPECT_EQ(*publish(2, "file-2", 0), std::nullopt);
}

TEST_F(AvatarsTest, StagedContentExpires) {
  ASSERT_TRUE(run(store->avatars().stage(content("old", 100))));
  ASSERT_TRUE(run(store->avatars().stage(content("new", 200))));
  ASSERT_TRUE(publish(1, "file-1", 0));
  EXPECT_THAT(*run(store->avatars().files()), UnorderedElementsAre("old", "new", "file-1"));
  const auto expired = *run(store->avatars().expire_staged(200));
  ASSERT_EQ(expired.size(), 1U);
  EXPECT_EQ(expired[0].content_file, "old");
  EXPECT_EQ(expired[0].staged_at, 100);
  EXPECT_EQ(expired[0].wrapped_key, (Bytes{1, 2, 3}));
  EXPECT_THAT(*run(store->avatars().files()), UnorderedElementsAre("new", "file-1"));
}

class CallStatesTest : public StoreTest {};

TEST_F(CallStatesTest, FollowTheCallOfOneClient) {
  auto& calls = store->calls();
  EXPECT_FALSE(*run(calls.find("call-1")));
  ASSERT_TRUE(run(calls.put({"call-1", CallState::accepted, "ims-as-1", 10})));
  ASSERT_TRUE(run(calls.put({"call-1", CallState::avatar_rejected, "ims-as-1", 11})));
  const auto found = *run(calls.find("call-1"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, CallState::avatar_rejected);
  EXPECT_EQ(found->client, "ims-as-1");
  EXPECT_EQ(found->changed_at, 11);
  const auto other = run(calls.put({"call-1", CallState::ended, "ims-as-2", 12}));
  EXPECT_EQ(other.error().reason, "call-other-client");
  EXPECT_EQ(other.error().category, Category::forbidden);
}

TEST_F(CallStatesTest, EndIsFinal) {
  auto& calls = store->calls();
  ASSERT_TRUE(run(calls.put({"call-1", CallState::ended, "ims-as-1", 10})));
  const auto refused = run(calls.put({"call-1", CallState::accepted, "ims-as-1", 11}));
  EXPECT_EQ(refused.error().reason, "call-ended");
  EXPECT_EQ(refused.error().category, Category::conflict);
  EXPECT_TRUE(run(calls.put({"call-1", CallState::ended, "ims-as-1", 12}))) << "told again";
  EXPECT_EQ((*run(calls.find("call-1")))->changed_at, 10);
}

TEST_F(CallStatesTest, AreForgottenAfterAWeek) {
  ASSERT_TRUE(run(store->calls().put({"call-1", CallState::ended, "ims-as-1", *now})));
  *now += 7 * 24 * 3600;
  reopen();
  EXPECT_TRUE(*run(store->calls().find("call-1")));
  *now += 1;
  reopen();
  EXPECT_FALSE(*run(store->calls().find("call-1")));
}

class EnrolmentCodesTest : public StoreTest {};

TEST_F(EnrolmentCodesTest, AreSpentOnce) {
  auto& codes = store->enrolment_codes();
  const EnrolmentCode code{"hash-1", impu("sip:alice@a.example"), 1000};
  ASSERT_TRUE(run(codes.add(code)));
  EXPECT_EQ(run(codes.add(code)).error().reason, "enrolment-code-exists");
  const auto spent = run(codes.spend("hash-1", 999));
  ASSERT_TRUE(spent);
  EXPECT_EQ(spent->impu, code.impu);
  EXPECT_EQ(spent->expires, 1000);
  EXPECT_FALSE(spent->simple);
  const auto again = run(codes.spend("hash-1", 999));
  EXPECT_EQ(again.error().reason, "enrolment-code-invalid");
  EXPECT_EQ(again.error().category, Category::unauthenticated);
}

TEST_F(EnrolmentCodesTest, ExpiredAndUnknownCodesAreRefusedAlike) {
  auto& codes = store->enrolment_codes();
  ASSERT_TRUE(run(codes.add({"hash-1", impu("sip:alice@a.example"), 1000})));
  EXPECT_EQ(run(codes.spend("hash-1", 1000)).error().reason, "enrolment-code-invalid");
  EXPECT_EQ(run(codes.spend("hash-2", 999)).error().reason, "enrolment-code-invalid");
}

TEST_F(EnrolmentCodesTest, ExpiredCodesAreForgotten) {
  ASSERT_TRUE(run(store->enrolment_codes().add({"hash-1", impu("sip:alice@a.example"), *now})));
  *now += 601;
  reopen();
  EXPECT_TRUE(run(store->enrolment_codes().add({"hash-1", impu("sip:alice@a.example"), *now})));
}

TEST_F(EnrolmentCodesTest, AreLookedAtWithoutBeingSpent) {
  ASSERT_TRUE(run(store->enrolment_codes().add({"hash-1", impu("sip:alice@a.example"), 1000, true})));
  EXPECT_TRUE(run(store->enrolment_codes().find("hash-1", 999))->simple);
  EXPECT_EQ(run(store->enrolment_codes().find("hash-1", 1000)).error().reason, "enrolment-code-invalid");
  EXPECT_TRUE(run(store->enrolment_codes().spend("hash-1", 999))->simple);
  EXPECT_EQ(run(store->enrolment_codes().find("hash-1", 999)).error().reason, "enrolment-code-invalid");
}

class ReplayCacheTest : public StoreTest {};

TEST_F(ReplayCacheTest, FirstReservesAndTheSameRequestGetsItsAnswer) {
  auto& cache = store->replay_cache();
  const ReplayEntry entry{"ue-1/jti-1", "xr-as-1", "digest-1", *now + 120};
  EXPECT_EQ(run(cache.reserve(entry))->kind, ReplayState::Kind::reserved);
  const auto early = run(cache.reserve(entry));
  EXPECT_EQ(early->kind, ReplayState::Kind::same_request);
  EXPECT_EQ(early->answer, "");
  ASSERT_TRUE(run(cache.complete(entry.key, "access-token")));
  const auto late = run(cache.reserve(entry));
  EXPECT_EQ(late->kind, ReplayState::Kind::same_request);
  EXPECT_EQ(late->answer, "access-token");
}

TEST_F(ReplayCacheTest, AnyOtherUseIsAnother) {
  auto& cache = store->replay_cache();
  const ReplayEntry entry{"ue-1/jti-1", "xr-as-1", "digest-1", *now + 120};
  ASSERT_TRUE(run(cache.reserve(entry)));
  auto other_client = entry;
  other_client.client = "xr-as-2";
  EXPECT_EQ(run(cache.reserve(other_client))->kind, ReplayState::Kind::other_request);
  auto other_bytes = entry;
  other_bytes.digest = "digest-2";
  EXPECT_EQ(run(cache.reserve(other_bytes))->kind, ReplayState::Kind::other_request);
  auto other_token = entry;
  other_token.key = "ue-1/jti-2";
  EXPECT_EQ(run(cache.reserve(other_token))->kind, ReplayState::Kind::reserved);
}

TEST_F(ReplayCacheTest, KeepsTheFirstAnswerToAReservation) {
  auto& cache = store->replay_cache();
  EXPECT_EQ(run(cache.complete("ue-1/jti-1", "a")).error().reason, "replay-not-reserved");
  ASSERT_TRUE(run(cache.reserve({"ue-1/jti-1", "xr-as-1", "digest-1", *now + 120})));
  EXPECT_EQ(run(cache.complete("ue-1/jti-1", "a")).value(), "a");
  EXPECT_EQ(run(cache.complete("ue-1/jti-1", "b")).value(), "a");
}

TEST_F(ReplayCacheTest, IsPurgedOnlyWellAfterExpiry) {
  const ReplayEntry entry{"ue-1/jti-1", "xr-as-1", "digest-1", *now + 120};
  ASSERT_TRUE(run(store->replay_cache().reserve(entry)));
  *now += 120 + 599;
  reopen();
  EXPECT_EQ(run(store->replay_cache().reserve(entry))->kind, ReplayState::Kind::same_request);
  *now += 10;
  reopen();
  EXPECT_EQ(run(store->replay_cache().reserve(entry))->kind, ReplayState::Kind::reserved);
}

class OperatorStatesTest : public StoreTest {};

TEST_F(OperatorStatesTest, AreReplacedByNameAndSurviveARestart) {
  auto& states = store->operator_states();
  EXPECT_THAT(*run(states.all("token")), IsEmpty());
  ASSERT_TRUE(run(states.put({"token", "hsm-b", "drained"})));
  ASSERT_TRUE(run(states.put({"token", "hsm-a", "drained"})));
  ASSERT_TRUE(run(states.put({"token", "hsm-b", "active"})));
  ASSERT_TRUE(run(states.put({"key", "hsm-a", "staged"})));
  reopen();
  const auto tokens = *run(store->operator_states().all("token"));
  ASSERT_EQ(tokens.size(), 2U);
  EXPECT_EQ(tokens[0].name + " " + tokens[0].state, "hsm-a drained");
  EXPECT_EQ(tokens[1].name + " " + tokens[1].state, "hsm-b active");
  EXPECT_EQ(run(store->operator_states().all("key"))->size(), 1U);
}

TEST_F(OperatorStatesTest, ComeToAStoreOfSchemaOne) {
  store->close();
  Intruder(file).run(to_schema_one);
  store = open();
  ASSERT_TRUE(run(store->operator_states().put({"token", "hsm-a", "drained"})));
  EXPECT_EQ(run(store->operator_states().all("token"))->size(), 1U);
}

class SubjectKeysTest : public StoreTest {};

TEST_F(SubjectKeysTest, AreMadeOnceAndSurviveARestart) {
  const auto first = run(store->subject_keys().key_for("sip:alice@a.example")).value();
  EXPECT_EQ(first.size(), 32U);
  EXPECT_EQ(run(store->subject_keys().key_for("sip:alice@a.example")).value(), first);
  EXPECT_NE(run(store->subject_keys().key_for("sip:bob@b.example")).value(), first);
  reopen();
  EXPECT_EQ(run(store->subject_keys().key_for("sip:alice@a.example")).value(), first);
}

TEST_F(SubjectKeysTest, AreFoundWithoutBeingMade) {
  EXPECT_EQ(*run(store->subject_keys().find("sip:alice@a.example")), std::nullopt);
  const auto key = run(store->subject_keys().key_for("sip:alice@a.example")).value();
  EXPECT_EQ(*run(store->subject_keys().find("sip:alice@a.example")), key);
  ASSERT_TRUE(run(store->subject_keys().erase("sip:alice@a.example")));
  EXPECT_EQ(*run(store->subject_keys().find("sip:alice@a.example")), std::nullopt);
}

TEST_F(SubjectKeysTest, OfSchemaSixAreSealed) {
  const auto key = run(store->subject_keys().key_for("sip:alice@a.example")).value();
  store->close();
  Intruder(file).run(to_schema_six);
  store = open();
  EXPECT_EQ(run(store->subject_keys().key_for("sip:alice@a.example")).value(), key);
  EXPECT_EQ(Intruder(file).text("SELECT name FROM sqlite_schema WHERE name = 'unsealed_subject_key'"), "");
}

TEST_F(SubjectKeysTest, ErasedSubjectGetsAnotherKey) {
  const auto first = run(store->subject_keys().key_for("sip:alice@a.example")).value();
  EXPECT_TRUE(*run(store->subject_keys().erase("sip:alice@a.example")));
  EXPECT_FALSE(*run(store->subject_keys().erase("sip:alice@a.example")));
  EXPECT_NE(run(store->subject_keys().key_for("sip:alice@a.example")).value(), first);
}

TEST_F(SubjectKeysTest, ErasedKeyLeavesTheFiles) {
  const auto key = run(store->subject_keys().key_for("sip:alice@a.example")).value();
  ASSERT_TRUE(run(store->subject_keys().erase("sip:alice@a.example")));
  reopen();
  store->close();
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    EXPECT_EQ(bytes.find(as_text(key)), std::string::npos) << entry.path();
    EXPECT_EQ(bytes.find("alice"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace avseal::store::test
