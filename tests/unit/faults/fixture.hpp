// SoftHSM behind the fault module, by the C ABI alone: a token, EC keys and rules. The module's directory lasts as long
// as the process, SoftHSM's as long as the test.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/faults/module/facts.hpp"
#include "tests/unit/pkcs11/fixture.hpp"
#include "tokens/digest.hpp"

namespace avseal::faults {

inline pkcs11::TempDir& faults_directory() {
  static pkcs11::TempDir directory;
  return directory;
}

class FaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("AVSEAL_FAULTS", faults_directory().path().c_str(), 1);
    rules("");
    auto loaded = pkcs11::Module::load(std::string(AVSEAL_BINARY_DIR) + "/lib/avseal-fault-pkcs11.so");
    ASSERT_TRUE(loaded) << loaded.error().detail;
    module = *loaded;
    map_facts();
    auto made = pkcs11::Token::init(module, "hsm-a", pkcs11::secret("so-87654321"), pkcs11::secret(pin));
    ASSERT_TRUE(made) << made.error().detail;
    session = open();
    ASSERT_EQ(log_in(session), CKR_OK);
    key = make_key("k");
    other = make_key("other");
  }

  void TearDown() override {
    rules("");
    if (facts != nullptr) munmap(const_cast<Facts*>(facts), sizeof(Facts));
  }

  static void rules(const std::string& text) {
    const auto file = faults_directory().write("rules.new", text);
    std::filesystem::rename(file, faults_directory().path() / "rules");
  }

  // A rule with a name that no other has used: what is spent of it is remembered.
  static void one_rule(const std::string& text) {
    static unsigned count = 0;
    rules("t" + std::to_string(getpid()) + "-" + std::to_string(++count) + " " + text);
  }

  [[nodiscard]] const CK_FUNCTION_LIST& api() const { return module->api(); }

  CK_SLOT_ID slot() {
    std::array<CK_SLOT_ID, 8> slots{};
    CK_ULONG count = slots.size();
    EXPECT_EQ(api().C_GetSlotList(CK_TRUE, slots.data(), &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; ++i) {
      CK_TOKEN_INFO info{};
      if (api().C_GetTokenInfo(slots[i], &info) == CKR_OK && info.label[0] == 'h') return slots[i];
    }
    return none;
  }

  CK_RV try_open(CK_FLAGS flags, CK_SESSION_HANDLE& opened) {
    return api().C_OpenSession(slot(), flags, nullptr, nullptr, &opened);
  }
  CK_SESSION_HANDLE open() {
    CK_SESSION_HANDLE opened = 0;
    EXPECT_EQ(try_open(CKF_SERIAL_SESSION | CKF_RW_SESSION, opened), CKR_OK);
    return opened;
  }

  CK_RV log_in(CK_SESSION_HANDLE in, std::string with = pin) {
    return api().C_Login(in, CKU_USER, reinterpret_cast<unsigned char*>(with.data()), with.size());
  }

  CK_OBJECT_HANDLE make_key(std::string_view label) {
    pkcs11::Template public_key;
    pkcs11::Template private_key;
    const Bytes p256{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    public_key.add(CKA_EC_PARAMS, p256).add(CKA_LABEL, label).flag(CKA_TOKEN, true);
    private_key.add(CKA_LABEL, label).flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true).flag(CKA_SIGN, true);
    CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
    CK_OBJECT_HANDLE made_public = 0;
    CK_OBJECT_HANDLE made = 0;
    EXPECT_EQ(
        api().C_GenerateKeyPair(session, &mechanism, public_key.attributes().data(), public_key.attributes().size(),
                                private_key.attributes().data(), private_key.attributes().size(), &made_public, &made),
        CKR_OK);
    return made;
  }

  CK_OBJECT_HANDLE find(std::string_view label, CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY) {
    pkcs11::Template wanted;
    wanted.number(CKA_CLASS, object_class).add(CKA_LABEL, label);
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;
    EXPECT_EQ(api().C_FindObjectsInit(session, wanted.attributes().data(), wanted.attributes().size()), CKR_OK);
    EXPECT_EQ(api().C_FindObjects(session, &found, 1, &count), CKR_OK);
    EXPECT_EQ(api().C_FindObjectsFinal(session), CKR_OK);
    return count == 1 ? found : CK_INVALID_HANDLE;
  }

  Bytes point(std::string_view label) {
    Bytes value(256);
    CK_ATTRIBUTE attribute{CKA_EC_POINT, value.data(), value.size()};
    EXPECT_EQ(api().C_GetAttributeValue(session, find(label, CKO_PUBLIC_KEY), &attribute, 1), CKR_OK);
    value.resize(attribute.ulValueLen);
    return value;
  }

  // Signs "m", or its digest where the mechanism does not hash.
  CK_RV sign(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE with, Bytes& signature, CK_MECHANISM_TYPE type = CKM_ECDSA) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    if (const CK_RV rv = api().C_SignInit(in, &mechanism, with); rv != CKR_OK) return rv;
    const tokens::Sha256 digest = tokens::sha256(as_bytes("m"));
    Bytes data(digest.begin(), digest.end());
    if (type != CKM_ECDSA) data = {'m'};
    signature.resize(144);
    CK_ULONG size = signature.size();
    const CK_RV rv = api().C_Sign(in, data.data(), data.size(), signature.data(), &size);
    signature.resize(rv == CKR_OK ? size : 0);
    return rv;
  }
  CK_RV sign(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE with) {
    Bytes signature;
    return sign(in, with, signature);
  }
  CK_RV sign() { return sign(session, key); }

  bool is_of(std::string_view label, const Bytes& signature) {
    return static_cast<bool>(pkcs11::decode_ec_point(point(label)).value().verify(as_bytes("m"), signature));
  }

  [[nodiscard]] std::uint64_t count(Function function, CK_RV code) const {
    for (const CodeFacts& entry : facts->functions[static_cast<std::size_t>(function)].codes) {
      if (entry.code_plus_one == code + 1) return entry.count;
    }
    return 0;
  }

  static constexpr const char* pin = "1234-user";
  static constexpr CK_SLOT_ID none = ~CK_SLOT_ID{0};
  pkcs11::SoftHsm softhsm_directory;
  std::shared_ptr<const pkcs11::Module> module;
  const Facts* facts = nullptr;
  CK_SESSION_HANDLE session = 0;  // logged in
  CK_OBJECT_HANDLE key = 0;       // labelled "k"
  CK_OBJECT_HANDLE other = 0;     // labelled "other"

 private:
  void map_facts() {
    const auto file = faults_directory().path() / (std::to_string(getpid()) + ".facts");
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor, 0);
    facts = static_cast<const Facts*>(mmap(nullptr, sizeof(Facts), PROT_READ, MAP_SHARED, descriptor, 0));
    close(descriptor);
    ASSERT_EQ(facts->magic, facts_magic);
  }
};

}  // namespace avseal::faults
