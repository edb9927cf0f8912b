#include "pkcs11/keys.hpp"

#include <algorithm>

#include "fixture.hpp"
#include "pkcs11/errors.hpp"
#include "pkcs11/signing.hpp"

namespace avseal::pkcs11 {
namespace {

using tokens::Algorithm;

class KeysTest : public TokenTest {
 protected:
  Result<KeyDescription> generate(Session& session, KeyKind kind, const std::string& label,
                                  Algorithm algorithm = Algorithm::es256) {
    return generate_key(session, {kind, label, {}, algorithm});
  }
};

TEST_F(KeysTest, SigningKeysAreProtectedAndOnlySign) {
  Session session = logged_in();
  const auto key = generate(session, KeyKind::avatar_id, "avatar-id");
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ(key->type, "EC P-256");
  EXPECT_EQ(key->sensitive, true);
  EXPECT_EQ(key->extractable, false);
  EXPECT_EQ(key->always_sensitive, true);
  EXPECT_EQ(key->never_extractable, true);
  EXPECT_EQ(key->local, true);
  EXPECT_EQ(key->modifiable, false);
  EXPECT_EQ(key->usage, std::vector<std::string>{"sign"});
  EXPECT_EQ(key->id.size(), 16U);
  ASSERT_TRUE(key->public_key);
}

TEST_F(KeysTest, WrappingKeysOnlyServeTheirForm) {
  Session session = logged_in();
  const std::vector<std::string> gcm = {"encrypt", "decrypt"};
  const std::vector<std::string> kw = {"wrap", "unwrap"};
  const std::vector<std::pair<std::optional<WrapForm>, std::vector<std::string>>> cases = {
      {std::nullopt, gcm}, {WrapForm::aes_gcm, gcm}, {WrapForm::aes_kw, kw}};
  for (const auto& [form, usage] : cases) {
    const auto key = generate_key(
        session,
        {KeyKind::dac_kek, "kek-" + std::to_string(form ? static_cast<int>(*form) : 0), {}, Algorithm::es256, form});
    ASSERT_TRUE(key) << key.error().detail;
    EXPECT_EQ(key->type, "AES-256");
    EXPECT_EQ(key->sensitive, true);
    EXPECT_EQ(key->extractable, false);
    EXPECT_EQ(key->usage, usage);
  }
}

TEST_F(KeysTest, TheValueOfAKeyCannotBeRead) {
  Session session = logged_in();
  const auto key = generate(session, KeyKind::dac_kek, "kek");
  ASSERT_TRUE(key);
  const auto value = session.attribute(key->handle, CKA_VALUE);
  ASSERT_FALSE(value);
  EXPECT_NE(value.error().detail.find("CKR_ATTRIBUTE_SENSITIVE"), std::string::npos) << value.error().detail;
}

TEST_F(KeysTest, SignaturesVerifyOnBothCurves) {
  Session session = logged_in();
  for (const Algorithm algorithm : {Algorithm::es256, Algorithm::es384}) {
    const auto key = generate(session, KeyKind::ledger, std::string(tokens::to_string(algorithm)), algorithm);
    ASSERT_TRUE(key) << key.error().detail;
    const auto mechanism = find_sign_mechanism(session, key->handle, *key->public_key);
    ASSERT_TRUE(mechanism);
    EXPECT_EQ(*mechanism, CK_MECHANISM_TYPE{CKM_ECDSA});
    const auto signature = sign(session, key->handle, *mechanism, algorithm, as_bytes("message"));
    ASSERT_TRUE(signature) << signature.error().detail;
    EXPECT_EQ(signature->size(), key->public_key->signature_size());
    EXPECT_TRUE(key->public_key->verify(as_bytes("message"), *signature));
    EXPECT_FALSE(key->public_key->verify(as_bytes("massage"), *signature));
  }
}

TEST_F(KeysTest, ADeadSessionIsNamed) {
  Session session = logged_in();
  const auto key = generate(session, KeyKind::ledger, "k");
  ASSERT_TRUE(key);
  module->api().C_CloseAllSessions(token->slot());
  const auto signature = sign(session, key->handle, CKM_ECDSA, Algorithm::es256, as_bytes("message"));
  ASSERT_FALSE(signature);
  EXPECT_EQ(signature.error().reason, hsm_session_lost);
  EXPECT_NE(signature.error().detail.find("C_SignInit failed with CKR_SESSION_HANDLE_INVALID"), std::string::npos);
}

TEST_F(KeysTest, FindsAKeyByLabelAndId) {
  Session session = logged_in();
  ASSERT_TRUE(generate_key(session, {KeyKind::avatar_id, "k", {1, 2}, Algorithm::es256}));
  const auto by_label = find_private_key(session, key_uri("k"));
  ASSERT_TRUE(by_label) << by_label.error().detail;
  EXPECT_EQ(*find_private_key(session, *Uri::parse_key("pkcs11:id=%01%02")), *by_label);
  EXPECT_EQ(*find_private_key(session, *Uri::parse_key("pkcs11:token=test;object=k")), *by_label);
  EXPECT_EQ(find_private_key(session, *Uri::parse_key("pkcs11:object=k;id=%03")).error().reason, "key-not-found");
  EXPECT_EQ(find_private_key(session, *Uri::parse_key("pkcs11:token=other;object=k")).error().reason,
            "token-not-present");
  EXPECT_EQ(find_private_key(session, key_uri("absent")).error().reason, "key-not-found");
  EXPECT_EQ(find_secret_key(session, key_uri("k")).error().reason, "key-not-found");
}

TEST_F(KeysTest, TwoKeysWithOneLabelAreRefused) {
  Session session = logged_in();
  for (const std::uint8_t id : Bytes{1, 2}) {
    const auto key = generate_key(session, {KeyKind::avatar_id, "made-" + std::to_string(id), {id}, Algorithm::es256});
    ASSERT_TRUE(key);
  }
  Template pair;
  constexpr std::array<std::uint8_t, 10> p256 = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
  pair.add(CKA_EC_PARAMS, ByteView(p256)).flag(CKA_TOKEN, true);
  Template own;
  own.flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true).flag(CKA_SIGN, true).add(CKA_LABEL, std::string_view("made-1"));
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = 0;
  CK_OBJECT_HANDLE private_key = 0;
  ASSERT_EQ(
      session.api().C_GenerateKeyPair(session.handle(), &mechanism, pair.attributes().data(), pair.attributes().size(),
                                      own.attributes().data(), own.attributes().size(), &public_key, &private_key),
      CKR_OK);
  const auto found = find_private_key(session, key_uri("made-1"));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, "key-ambiguous");
  EXPECT_TRUE(find_private_key(session, *Uri::parse_key("pkcs11:object=made-1;id=%01")));
}

TEST_F(KeysTest, AnExistingLabelOrIdIsRefused) {
  Session session = logged_in();
  ASSERT_TRUE(generate_key(session, {KeyKind::avatar_id, "k", {7}, Algorithm::es256}));
  EXPECT_EQ(generate(session, KeyKind::dac_kek, "k").error().reason, "key-exists");
  EXPECT_EQ(generate_key(session, {KeyKind::ledger, "other", {7}, Algorithm::es256}).error().reason, "key-exists");
  EXPECT_EQ(generate(session, KeyKind::ledger, "").error().reason, "key-unsuitable");
  EXPECT_EQ(list_keys(session)->size(), 1U);
}

TEST_F(KeysTest, AReadOnlySessionMakesNoKeys) {
  Session session = logged_in(Session::Access::read_only);
  const auto key = generate(session, KeyKind::ledger, "k");
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().detail.find("CKR_SESSION_READ_ONLY"), std::string::npos) << key.error().detail;
}

TEST_F(KeysTest, ListsPrivateAndSecretKeysByLabel) {
  Session session = logged_in();
  ASSERT_TRUE(generate(session, KeyKind::ledger, "b"));
  ASSERT_TRUE(generate(session, KeyKind::dac_kek, "a"));
  const auto keys = list_keys(session);
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ(keys->at(0).label, "a");
  EXPECT_EQ(keys->at(1).label, "b");
}

TEST_F(KeysTest, EcPointsAreReadInThreeForms) {
  Session session = logged_in();
  const auto key = generate(session, KeyKind::ledger, "k");
  ASSERT_TRUE(key);
  const Bytes raw = key->public_key->point();
  Bytes octets{0x04, 0x41};
  octets.insert(octets.end(), raw.begin(), raw.end());
  Bytes bits{0x03, 0x42, 0x00};
  bits.insert(bits.end(), raw.begin(), raw.end());
  for (const Bytes& form : {raw, octets, bits}) {
    const auto read = decode_ec_point(form);
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read == *key->public_key);
  }
  Bytes off_curve = raw;
  off_curve.back() ^= 1;
  EXPECT_FALSE(decode_ec_point(off_curve));
  EXPECT_FALSE(decode_ec_point({}));
}

}  // namespace
}  // namespace avseal::pkcs11
