// Rows that were edited, copied or made with the sqlite3 tool.
#include "store/row_seal.hpp"
#include "support.hpp"

namespace avseal::store::test {
namespace {

class SealTest : public Fixture {
 protected:
  void SetUp() override {
    store = open();
    ASSERT_TRUE(run(store->subject_keys().key_for("sip:alice@a.example")));
    store->close();  // which forgets the keys that it used lately
    store = open();
    ASSERT_TRUE(run(store->subscriptions().put({alice, {{"urn:uuid:1", {"xr-meeting"}}}, 0})));
    ASSERT_TRUE(run(store->avatars().stage(content("file-1"))));
    ASSERT_TRUE(run(store->avatars().publish(avatar(1, "file-1"), 0)));
    ASSERT_TRUE(run(store->avatars().stage(content("file-2"))));
    ASSERT_TRUE(run(store->calls().put({"call-1", CallState::avatar_rejected, "ims-as-1", 10})));
    ASSERT_TRUE(run(store->ue_certificates().add({"x5t-1", alice, "0a1b", 2'000'000'000})));
    ASSERT_TRUE(run(store->enrolment_codes().add({"hash-1", alice, 1000})));
    ASSERT_TRUE(run(store->operator_states().put({"key", "avatar-id", "retired"})));
  }

  [[nodiscard]] bool subscription_found(const tokens::Impu& who) {
    return run(store->subscriptions().find(who))->has_value();
  }
  [[nodiscard]] bool avatar_found(const std::string& id) { return run(store->avatars().find(id))->has_value(); }
  [[nodiscard]] bool staged_found() {
    return run(store->avatars().staged("urn:uuid:1", "sha-256-file-2"))->has_value();
  }

  const tokens::Impu alice = impu("sip:alice@a.example");
  const tokens::Impu mallory = impu("sip:mallory@a.example");
  std::shared_ptr<Store> store;
};

TEST_F(SealTest, GenuineRowsAreNotReported) {
  EXPECT_TRUE(subscription_found(alice));
  EXPECT_TRUE(avatar_found("urn:uuid:1"));
  EXPECT_TRUE(staged_found());
  EXPECT_EQ(forged("subscription"), "absent");
  EXPECT_EQ(forged("avatar"), "absent");
  EXPECT_EQ(forged("staged_content"), "absent");
}

// Each column of each sealed table, changed alone.
struct Edit {
  const char* table;
  const char* change;
};

class EditedRowTest : public SealTest, public ::testing::WithParamInterface<Edit> {
 protected:
  [[nodiscard]] bool still_granted(std::string_view table) {
    if (table == "subscription") return subscription_found(alice);
    if (table == "avatar") return avatar_found("urn:uuid:1");
    if (table == "staged_content") return staged_found();
    if (table == "call") return run(store->calls().find("call-1")).has_value();
    if (table == "ue_certificate") return run(store->ue_certificates().find("x5t-1")).has_value();
    if (table == "subject_key") return run(store->subject_keys().key_for("sip:alice@a.example")).has_value();
    if (table == "operator_state") return run(store->operator_states().all("key")).has_value();
    return run(store->enrolment_codes().spend("hash-1", 999)).has_value();
  }
};

TEST_P(EditedRowTest, IsRefusedAndReported) {
  const auto& edit = GetParam();
  ASSERT_EQ(Intruder(file).run(fmt::format("UPDATE {} SET {}", edit.table, edit.change)), 1);
  EXPECT_FALSE(still_granted(edit.table));
  EXPECT_EQ(forged(edit.table), "1");
}

INSTANTIATE_TEST_SUITE_P(
    EachColumn, EditedRowTest,
    ::testing::Values(Edit{"subscription", "avatars = replace(avatars, 'xr-meeting', 'game')"},
                      Edit{"subscription", "avatars = 'no json'"}, Edit{"subscription", "version = 2"},
                      Edit{"subscription", "seal = zeroblob(32)"}, Edit{"subscription", "seal = x''"},
                      Edit{"avatar", "owner = 'sip:mallory@a.example'"}, Edit{"avatar", "owner = 'nobody'"},
                      Edit{"avatar", "version = 7"}, Edit{"avatar", "content_digest = 'sha-256-x'"},
                      Edit{"avatar", "content_size = 1"}, Edit{"avatar", "content_type = 'text/html'"},
                      Edit{"avatar", "content_file = 'file-2'"}, Edit{"avatar", "wrapped_key = x'04'"},
                      Edit{"avatar", "members = '{}'"}, Edit{"avatar", "members = '['"},
                      Edit{"avatar", "withdrawn = 1"}, Edit{"avatar", "seal = zeroblob(32)"},
                      Edit{"staged_content", "content_size = 1"}, Edit{"staged_content", "content_type = 'text/html'"},
                      Edit{"staged_content", "content_file = 'file-1'"}, Edit{"staged_content", "wrapped_key = x'04'"},
                      Edit{"staged_content", "staged_at = 1"}, Edit{"call", "state = 'accepted'"},
                      Edit{"call", "state = 'unheard-of'"}, Edit{"call", "client = 'ims-as-2'"},
                      Edit{"call", "changed_at = 1"}, Edit{"ue_certificate", "revoked_at = 1"},
                      Edit{"ue_certificate", "impu = 'sip:mallory@a.example'"},
                      Edit{"ue_certificate", "impu = 'nobody'"}, Edit{"ue_certificate", "not_after = 3000000000"},
                      Edit{"ue_certificate", "serial_hex = '0a1c'"}, Edit{"ue_certificate", "device = 'x'"},
                      Edit{"ue_certificate", "cause = 'certificate'"}, Edit{"enrolment_code", "simple = 1"},
                      Edit{"enrolment_code", "impu = 'sip:mallory@a.example'"},
                      Edit{"enrolment_code", "expires = 2000"}, Edit{"operator_state", "name = 'access-token'"},
                      Edit{"operator_state", "state = 'active'"}, Edit{"subject_key", "key = zeroblob(32)"},
                      Edit{"subject_key", "seal = x''"}));

TEST_F(SealTest, RowCopiedToAnotherKeyIsRefused) {
  Intruder intruder(file);
  intruder.run("INSERT INTO subscription SELECT 'sip:mallory@a.example', avatars, version, seal FROM subscription");
  EXPECT_FALSE(subscription_found(mallory));
  EXPECT_TRUE(subscription_found(alice));
  intruder.run(
      "INSERT INTO avatar SELECT 'urn:uuid:2', owner, version, content_digest, content_size, content_type, "
      "content_file, wrapped_key, members, withdrawn, seal FROM avatar");
  EXPECT_FALSE(avatar_found("urn:uuid:2"));
  intruder.run(
      "INSERT INTO staged_content SELECT 'urn:uuid:2', content_digest, content_size, content_type, "
      "content_file, wrapped_key, staged_at, seal FROM staged_content");
  EXPECT_FALSE(*run(store->avatars().staged("urn:uuid:2", "sha-256-file-2")));
  intruder.run(
      "INSERT INTO ue_certificate SELECT 'x5t-2', impu, serial_hex, not_after, device, revoked_at, cause, seal FROM "
      "ue_certificate");
  EXPECT_EQ(run(store->ue_certificates().find("x5t-2")).error().reason, "store-row-forged");
  intruder.run("INSERT INTO call SELECT 'call-2', state, client, changed_at, seal FROM call");
  EXPECT_EQ(run(store->calls().find("call-2")).error().reason, "store-row-forged");
  intruder.run("INSERT INTO enrolment_code SELECT 'hash-2', impu, expires, seal, simple FROM enrolment_code");
  EXPECT_EQ(run(store->enrolment_codes().spend("hash-2", 999)).error().reason, "enrolment-code-invalid");
  for (const auto* table : {"subscription", "avatar", "staged_content", "ue_certificate", "call", "enrolment_code"}) {
    EXPECT_EQ(forged(table), "1") << table;
  }
}

TEST_F(SealTest, MadeUpRowIsRefused) {
  Intruder(file).run(
      "INSERT INTO subscription VALUES ('sip:mallory@a.example', "
      "'[{\"applications\":[\"xr-meeting\"],\"id\":\"urn:uuid:1\"}]', 1, randomblob(32))");
  EXPECT_FALSE(subscription_found(mallory));
  EXPECT_EQ(forged("subscription"), "1");
}

TEST_F(SealTest, RowsOfAnotherKeyAreRefused) {
  store->close();
  store = try_open("another key, 32 bytes as well....").value();
  EXPECT_FALSE(subscription_found(alice));
  EXPECT_FALSE(avatar_found("urn:uuid:1"));
}

TEST_F(SealTest, ForgedRowIsReplacedByAGenuineOne) {
  Intruder(file).run("UPDATE subscription SET version = 40");
  EXPECT_EQ(*run(store->subscriptions().put({alice, {}, 0})), 1);
  EXPECT_TRUE(subscription_found(alice));
}

TEST_F(SealTest, ForgedStagedContentIsNeitherPublishedNorGivenForDeletion) {
  Intruder(file).run("UPDATE staged_content SET content_file = 'file-1'");
  auto record = avatar(2, "file-2");
  record.content_file = "file-1-of-another";
  EXPECT_EQ(run(store->avatars().publish(record, 1)).error().reason, "avatar-content-missing");
  EXPECT_TRUE(run(store->avatars().expire_staged(1'000'000))->empty());
}

TEST_F(SealTest, ForgedCallCannotBeChanged) {
  Intruder(file).run("UPDATE call SET state = 'accepted'");
  EXPECT_EQ(run(store->calls().put({"call-1", CallState::ended, "ims-as-1", 11})).error().reason, "store-row-forged");
}

Bytes bytes_of(const RowBytes& row) {
  return {row.bytes().begin(), row.bytes().end()};
}

TEST(RowBytesTest, TableBordersAndKindsOfColumnsCount) {
  const auto row = bytes_of(RowBytes("t").add("x").add("y"));
  EXPECT_NE(row, bytes_of(RowBytes("t").add("xty"))) << "t begins a text column";
  EXPECT_NE(row, bytes_of(RowBytes("t").add("xy").add("")));
  EXPECT_NE(row, bytes_of(RowBytes("u").add("x").add("y")));
  EXPECT_NE(row, bytes_of(RowBytes("t").add("x").add(ByteView(as_bytes("y")))));
}

}  // namespace
}  // namespace avseal::store::test
