// What becomes of a key: its attributes for auditors, its certificate on the token, its end.
#include <memory>

#include <openssl/ec.h>
#include <openssl/x509.h>

#include "fixture.hpp"
#include "pkcs11/certificates.hpp"

namespace avseal::pkcs11 {
namespace {

// Self-signed, of a key of its own.
tokens::Certificate certificate(long serial) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> x509(X509_new(), &X509_free);
  X509_set_version(x509.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("signer"), -1, -1, 0);
  X509_set_issuer_name(x509.get(), X509_get_subject_name(x509.get()));
  X509_set_pubkey(x509.get(), key.get());
  X509_sign(x509.get(), key.get(), EVP_sha256());
  return tokens::Certificate::from_native(x509.get()).value();
}

class LifecycleTest : public TokenTest {
 protected:
  void SetUp() override {
    TokenTest::SetUp();
    session.emplace(logged_in());
    key = generate_key(*session, {KeyKind::avatar_id, "avatar-id", {1}, tokens::Algorithm::es256}).value();
    other = generate_key(*session, {KeyKind::dac_kek, "kek", {2}, tokens::Algorithm::es256}).value();
  }
  void TearDown() override { session.reset(); }
  std::size_t objects(const Bytes& id) {
    Template wanted;
    wanted.add(CKA_ID, id);
    return session->find(wanted)->size();
  }

  std::optional<Session> session;
  KeyDescription key;
  KeyDescription other;
};

TEST_F(LifecycleTest, AnAuditorIsToldEveryAttribute) {
  EXPECT_EQ(key.object_class, "private-key");
  EXPECT_EQ(other.object_class, "secret-key");
  for (const auto* described : {&key, &other}) {
    EXPECT_EQ(described->private_object, true);
    EXPECT_EQ(described->token_object, true);
    EXPECT_TRUE(described->copyable.has_value());
    EXPECT_TRUE(described->destroyable.has_value());
    EXPECT_EQ(described->wrap_with_trusted, false);
    EXPECT_EQ(described->start_date, "");
    EXPECT_EQ(described->end_date, "");
  }
  EXPECT_EQ(key.key_gen_mechanism, "CKM_EC_KEY_PAIR_GEN");
  EXPECT_EQ(other.key_gen_mechanism, "CKM_AES_KEY_GEN");
}

TEST_F(LifecycleTest, AnImportedKeyIsToldApart) {
  Template imported;
  imported.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, true);
  imported.flag(CKA_PRIVATE, false);  // SoftHSM cannot read the dates of private objects
  imported.add(CKA_LABEL, "imported").add(CKA_VALUE, Bytes(32, 1)).flag(CKA_SENSITIVE, false);
  imported.add(CKA_START_DATE, "20260131").add(CKA_END_DATE, "20270131").flag(CKA_EXTRACTABLE, true);
  CK_OBJECT_HANDLE handle = 0;
  const auto attributes = imported.attributes();
  ASSERT_EQ(session->api().C_CreateObject(session->handle(), attributes.data(), attributes.size(), &handle), CKR_OK);
  const auto keys = list_keys(*session).value();
  ASSERT_EQ(keys.size(), 3U);
  const auto& found = keys[1];
  EXPECT_EQ(found.label, "imported");
  EXPECT_EQ(found.local, false);
  EXPECT_EQ(found.sensitive, false);
  EXPECT_EQ(found.always_sensitive, false);
  EXPECT_EQ(found.extractable, true);
  EXPECT_EQ(found.never_extractable, false);
  EXPECT_EQ(found.key_gen_mechanism, "not made on this token");
  EXPECT_EQ(found.start_date, "2026-01-31");
  EXPECT_EQ(found.end_date, "2027-01-31");
}

TEST_F(LifecycleTest, ACertificateTakesTheEarlierOnesPlace) {
  EXPECT_TRUE(stored_certificates(*session, key.id)->empty());
  const auto first = certificate(1);
  const auto second = certificate(2);
  const auto stored = store_certificate(*session, first, key.id, key.label);
  ASSERT_TRUE(stored) << stored.error().detail;
  ASSERT_TRUE(store_certificate(*session, second, key.id, key.label));
  const auto found = stored_certificates(*session, key.id).value();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].der(), second.der());
  EXPECT_TRUE(stored_certificates(*session, other.id)->empty());
}

TEST_F(LifecycleTest, AReadOnlySessionStoresNoCertificate) {
  Session reader = logged_in(Session::Access::read_only);
  EXPECT_FALSE(store_certificate(reader, certificate(1), key.id, key.label));
}

TEST_F(LifecycleTest, DestroyingTakesEverythingOfTheKeyAndNothingElse) {
  ASSERT_TRUE(store_certificate(*session, certificate(1), key.id, key.label));
  EXPECT_EQ(objects(key.id), 3U);
  const auto destroyed = destroy_key(*session, key);
  ASSERT_TRUE(destroyed) << destroyed.error().detail;
  EXPECT_EQ(objects(key.id), 0U);
  ASSERT_EQ(list_keys(*session)->size(), 1U);
  ASSERT_TRUE(destroy_key(*session, other));
  EXPECT_TRUE(list_keys(*session)->empty());
}

TEST_F(LifecycleTest, AKeyWithoutIdIsLeft) {
  key.id.clear();
  EXPECT_EQ(destroy_key(*session, key).error().reason, "key-unsuitable");
  EXPECT_EQ(objects({1}), 2U);
}

}  // namespace
}  // namespace avseal::pkcs11
