// Data keys under an AES key of a SoftHSM token, in both wrapped forms.
#include "pkcs11/wrapping.hpp"

#include "fixture.hpp"
#include "tokens/digest.hpp"

namespace avseal::pkcs11 {
namespace {

class WrapTest : public TokenTest {
 protected:
  void SetUp() override {
    TokenTest::SetUp();
    session.emplace(logged_in());
  }
  void TearDown() override {
    EXPECT_EQ(session_objects(), 0U);
    session.reset();
  }
  CK_OBJECT_HANDLE make_key(const std::string& label, WrapForm form) {
    const auto made = generate_key(*session, {KeyKind::dac_kek, label, {}, tokens::Algorithm::es256, form});
    EXPECT_TRUE(made) << made.error().detail;
    return made->handle;
  }
  // A key that may do all that is in `uses`, as no key of ours may.
  CK_OBJECT_HANDLE make_foreign_key(const std::string& label, const std::vector<CK_ATTRIBUTE_TYPE>& uses) {
    Template key;
    key.add(CKA_LABEL, label).number(CKA_VALUE_LEN, 32).flag(CKA_TOKEN, true);
    for (const CK_ATTRIBUTE_TYPE use : {CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP}) {
      key.flag(use, std::find(uses.begin(), uses.end(), use) != uses.end());
    }
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE handle = 0;
    EXPECT_EQ(session->api().C_GenerateKey(session->handle(), &mechanism, key.attributes().data(),
                                           key.attributes().size(), &handle),
              CKR_OK);
    return handle;
  }
  std::size_t session_objects() {
    Template wanted;
    wanted.flag(CKA_TOKEN, false);
    return session->find(wanted).value().size();
  }

  std::optional<Session> session;
  const Bytes data_key = Bytes(32, 0x5a);
};

class FormTest : public WrapTest, public ::testing::WithParamInterface<WrapForm> {
 protected:
  void SetUp() override {
    WrapTest::SetUp();
    kek = make_key("kek", GetParam());
  }
  Result<Bytes> wrapped(ByteView key, ByteView aad) { return wrap(*session, kek, GetParam(), key, aad); }
  std::string_view verdict(ByteView bytes, ByteView aad = {}) {
    const auto back = unwrap(*session, kek, bytes, aad);
    return back ? std::string_view("ok") : back.error().reason;
  }
  CK_OBJECT_HANDLE kek = 0;
};

TEST_P(FormTest, DataKeysComeBack) {
  for (const std::size_t size : {16U, 24U, 32U, 64U}) {
    const Bytes key = tokens::random_bytes(size);
    const auto bytes = wrapped(key, as_bytes("avatar 1"));
    ASSERT_TRUE(bytes) << bytes.error().detail;
    EXPECT_EQ(bytes->front(), static_cast<std::uint8_t>(GetParam()));
    EXPECT_EQ(bytes->size(), size + (GetParam() == WrapForm::aes_gcm ? 1U + 12 + 16 : 1U + 8 + 32));
    const auto back = unwrap(*session, kek, *bytes, as_bytes("avatar 1"));
    ASSERT_TRUE(back) << back.error().detail;
    EXPECT_TRUE(back->equals(key));
  }
  for (const std::size_t size : {0U, 15U, 65U, 72U}) {
    EXPECT_EQ(wrapped(Bytes(size, 1), {}).error().reason, "key-unsuitable") << size;
  }
}

TEST_P(FormTest, AnyChangeIsRefused) {
  const auto good = wrapped(data_key, as_bytes("avatar 1"));
  ASSERT_TRUE(good);
  for (std::size_t i = 0; i < good->size(); ++i) {
    Bytes altered = *good;
    altered[i] ^= 1;
    EXPECT_EQ(verdict(altered, as_bytes("avatar 1")), "wrapped-invalid") << i;
  }
  EXPECT_EQ(verdict(*good, as_bytes("avatar 2")), "wrapped-invalid");
  EXPECT_EQ(verdict(*good), "wrapped-invalid");
  EXPECT_EQ(verdict(*good, as_bytes("avatar 1")), "ok");
}

TEST_P(FormTest, OtherLengthsAreRefused) {
  const auto good = wrapped(data_key, {});
  ASSERT_TRUE(good);
  for (std::size_t size = 0; size < good->size(); ++size) {
    EXPECT_EQ(verdict(ByteView(*good).first(size)), "wrapped-invalid") << size;
  }
  for (const std::size_t size : {good->size() + 1, good->size() + 8, std::size_t{500}}) {
    Bytes longer = *good;
    longer.resize(size);
    EXPECT_EQ(verdict(longer), "wrapped-invalid") << size;
  }
}

TEST_P(FormTest, AnotherKeyDoesNotUnwrap) {
  const auto good = wrapped(data_key, {});
  const CK_OBJECT_HANDLE other = make_key("other", GetParam());
  ASSERT_TRUE(good);
  EXPECT_EQ(unwrap(*session, other, *good, {}).error().reason, "wrapped-invalid");
}

TEST_P(FormTest, ItsKeyIsChosenForIt) {
  EXPECT_EQ(*choose_wrap_form(*session, kek), GetParam());
  const WrapForm other = GetParam() == WrapForm::aes_gcm ? WrapForm::aes_kw : WrapForm::aes_gcm;
  const auto refused = wrap(*session, kek, other, data_key, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("CKR_KEY_FUNCTION_NOT_PERMITTED"), std::string::npos) << refused.error().detail;
}

// A broken HSM is not taken for an altered data key.
TEST_P(FormTest, ADeadSessionIsNoVerdict) {
  const auto good = wrapped(data_key, {});
  ASSERT_TRUE(good);
  {
    Session other = logged_in();
    module->api().C_CloseSession(session->handle());
    EXPECT_EQ(verdict(*good), "hsm-session-lost");
    EXPECT_EQ(wrapped(data_key, {}).error().reason, "hsm-session-lost");
    session.reset();
    session.emplace(std::move(other));
  }
}

INSTANTIATE_TEST_SUITE_P(both, FormTest, ::testing::Values(WrapForm::aes_gcm, WrapForm::aes_kw),
                         [](const auto& param) { return param.param == WrapForm::aes_gcm ? "gcm" : "kw"; });

TEST_F(WrapTest, NoTwoGcmFormsAreEqual) {
  const CK_OBJECT_HANDLE kek = make_key("kek", WrapForm::aes_gcm);
  EXPECT_NE(*wrap(*session, kek, WrapForm::aes_gcm, data_key, {}),
            *wrap(*session, kek, WrapForm::aes_gcm, data_key, {}));
}

TEST_F(WrapTest, KeyWrapTakesWholeBlocks) {
  const CK_OBJECT_HANDLE kek = make_key("kek", WrapForm::aes_kw);
  EXPECT_EQ(wrap(*session, kek, WrapForm::aes_kw, Bytes(20, 1), {}).error().reason, "key-unsuitable");
}

TEST_F(WrapTest, EachFormIsReadWhateverIsWritten) {
  const CK_OBJECT_HANDLE kek = make_foreign_key("both", {CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP});
  EXPECT_EQ(*choose_wrap_form(*session, kek), WrapForm::aes_gcm);
  for (const WrapForm form : {WrapForm::aes_gcm, WrapForm::aes_kw}) {
    auto bytes = wrap(*session, kek, form, data_key, as_bytes("a"));
    ASSERT_TRUE(bytes) << bytes.error().detail;
    EXPECT_TRUE(unwrap(*session, kek, *bytes, as_bytes("a"))->equals(data_key));
    bytes->front() = form == WrapForm::aes_gcm ? 0x02 : 0x01;
    EXPECT_EQ(unwrap(*session, kek, *bytes, as_bytes("a")).error().reason, "wrapped-invalid");
  }
}

TEST_F(WrapTest, KeysOfOtherUsesAreUnsuitable) {
  for (const auto& uses : std::vector<std::vector<CK_ATTRIBUTE_TYPE>>{{}, {CKA_ENCRYPT}, {CKA_DECRYPT, CKA_WRAP}}) {
    const CK_OBJECT_HANDLE kek = make_foreign_key("kek" + std::to_string(uses.size()), uses);
    EXPECT_EQ(choose_wrap_form(*session, kek).error().reason, "key-unsuitable");
  }
  const auto signer = generate_key(*session, {KeyKind::ledger, "signer", {}, tokens::Algorithm::es256});
  ASSERT_TRUE(signer);
  for (const WrapForm form : {WrapForm::aes_gcm, WrapForm::aes_kw}) {
    EXPECT_FALSE(wrap(*session, signer->handle, form, data_key, {}));
  }
}

}  // namespace
}  // namespace avseal::pkcs11
