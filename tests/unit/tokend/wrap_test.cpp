// The worker wraps with AES-GCM where the key may, else with AES key wrap, and reads what either made.
#include "pkcs11/wrapping.hpp"
#include "worker.hpp"

namespace avseal::tokend {
namespace {

class WrapTest : public WorkerTest {
 protected:
  void SetUp() override {
    WorkerTest::SetUp();
    const auto module = pkcs11::Module::load(pkcs11::softhsm);
    const auto token = pkcs11::Token::find(*module, *pkcs11::Uri::parse_token("pkcs11:token=test"));
    session.emplace(pkcs11::Session::open(*token, pkcs11::Session::Access::read_write).value());
    ASSERT_TRUE(session->login(pkcs11::secret("1234-user")));
  }
  void TearDown() override { session.reset(); }

  // A worker for the one key with that label, and what it says the key's algorithm is.
  std::unique_ptr<WorkerProcess> start_with(const std::string& label, std::string& algorithm) {
    const std::string text = std::string("module = \"") + pkcs11::softhsm +
                             "\"\ntoken = \"pkcs11:token=test\"\nstate_directory = \".\"\npin_file = \"pin\"\n"
                             "[[keys]]\nname = \"kek\"\nkind = \"dac-kek\"\nuri = \"pkcs11:object=" +
                             label + "\"\n";
    auto worker = start(softhsm.directory.write("tokend.toml", text));
    EXPECT_TRUE(worker->ready()) << worker->log();
    const auto hello = Client::connect(socket())->greet();
    if (hello) algorithm = hello->keys.at(0).algorithm;
    return worker;
  }
  void allow(CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE use, bool allowed) {
    pkcs11::Template change;
    change.flag(use, allowed);
    EXPECT_EQ(session->api().C_SetAttributeValue(session->handle(), key, change.attributes().data(), 1), CKR_OK);
  }

  std::optional<pkcs11::Session> session;
  const Bytes data_key = Bytes(32, 0x77);
};

TEST_F(WrapTest, AKeyThatOnlyWrapsServesAsWell) {
  const auto made = pkcs11::generate_key(
      *session, {pkcs11::KeyKind::dac_kek, "kw", {}, tokens::Algorithm::es256, pkcs11::WrapForm::aes_kw});
  ASSERT_TRUE(made) << made.error().detail;
  std::string algorithm;
  const auto worker = start_with("kw", algorithm);
  EXPECT_EQ(algorithm, "A256KW");
  Client client = connect();
  EXPECT_TRUE(client.ask(FrameType::probe, "kek", {}));
  const auto wrapped = client.ask(FrameType::wrap, "kek", data_key, as_bytes("avatar 1"));
  ASSERT_TRUE(wrapped) << wrapped.error().detail;
  EXPECT_EQ(wrapped->front(), 0x02);
  const auto unwrap = [&](ByteView bytes, std::string_view aad) {
    return client.ask(FrameType::unwrap, "kek", bytes, as_bytes(aad));
  };
  EXPECT_EQ(*unwrap(*wrapped, "avatar 1"), data_key);
  EXPECT_EQ(unwrap(*wrapped, "avatar 2").error().reason, "wrapped-invalid");
  Bytes altered = *wrapped;
  altered.back() ^= 1;
  EXPECT_EQ(unwrap(altered, "avatar 1").error().reason, "wrapped-invalid");
  EXPECT_EQ(unwrap(ByteView(*wrapped).first(wrapped->size() - 8), "avatar 1").error().reason, "wrapped-invalid");
}

TEST_F(WrapTest, EitherFormIsReadWhereTheKeyMay) {
  pkcs11::Template key;
  key.add(CKA_LABEL, std::string_view("both")).number(CKA_VALUE_LEN, 32).flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true);
  key.flag(CKA_ENCRYPT, true).flag(CKA_DECRYPT, true).flag(CKA_WRAP, false).flag(CKA_UNWRAP, true);
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE kek = 0;
  ASSERT_EQ(session->api().C_GenerateKey(session->handle(), &mechanism, key.attributes().data(),
                                         key.attributes().size(), &kek),
            CKR_OK);
  std::string algorithm;
  std::vector<Bytes> wrapped;
  const auto wrap_and_read_all = [&] {
    const auto worker = start_with("both", algorithm);
    Client client = connect();
    const auto made = client.ask(FrameType::wrap, "kek", data_key, as_bytes("avatar 1"));
    ASSERT_TRUE(made) << made.error().detail;
    wrapped.push_back(*made);
    for (const Bytes& bytes : wrapped) {
      EXPECT_EQ(*client.ask(FrameType::unwrap, "kek", bytes, as_bytes("avatar 1")), data_key);
    }
  };
  wrap_and_read_all();
  EXPECT_EQ(algorithm, "A256GCM");
  allow(kek, CKA_ENCRYPT, false);
  allow(kek, CKA_WRAP, true);
  wrap_and_read_all();
  EXPECT_EQ(algorithm, "A256KW");
  allow(kek, CKA_ENCRYPT, true);
  wrap_and_read_all();
  EXPECT_EQ(algorithm, "A256GCM");
  ASSERT_EQ(wrapped.size(), 3U);
  EXPECT_EQ(wrapped[0].front(), 0x01);
  EXPECT_EQ(wrapped[1].front(), 0x02);
  EXPECT_EQ(wrapped[2].front(), 0x01);
}

}  // namespace
}  // namespace avseal::tokend
