#include "tpm/attestation.hpp"

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "structures/attest.hpp"
#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::tpm {
namespace {

using test::Swtpm;
using ::testing::HasSubstr;

class AttestationTest : public ::testing::Test {
 protected:
  AttestationTest() : context_(Context::open(tpm_.tcti()).value()) {}

  void SetUp() override {
    srk_ = create_srk(*context_).value().handle;
    session_ = std::make_unique<Session>(Session::start(*context_, srk_, srk_.name().value()).value());
  }

  [[nodiscard]] Bytes file(const std::string& name) const {
    std::ifstream in(tpm_.dir() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& name, ByteView bytes) const {
    std::ofstream(tpm_.dir() / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // As the other side does it, with tpm2_makecredential on a machine of its own: nothing of it touches this TPM.
  [[nodiscard]] Credential make_credential(const EndorsementKey& ek, ByteView ak_name, ByteView secret) const {
    Bytes area = marshal_public(ek.public_area.publicArea).value();
    area.insert(area.begin(), {static_cast<std::uint8_t>(area.size() >> 8U), static_cast<std::uint8_t>(area.size())});
    write("ek.tpm2b", area);
    write("secret", secret);
    EXPECT_EQ(other_.tool("cd '" + tpm_.dir().string() + "' && tpm2_makecredential -Q -u ek.tpm2b -s secret -n " +
                          tokens::hex_encode(ak_name) + " -o credential"),
              0);
    const Bytes made = file("credential");  // magic, version, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET
    const std::size_t blob = 2U + (std::size_t{made[8]} << 8U | made[9]);
    return {Bytes(made.begin() + 8, made.begin() + 8 + static_cast<std::ptrdiff_t>(blob)),
            Bytes(made.begin() + 8 + static_cast<std::ptrdiff_t>(blob), made.end())};
  }

  Result<Secret> activate(const EndorsementKey& ek) {
    const Primary ak = create_ak(*context_, *session_, unique_).value();
    const Bytes secret(32, 0x42);
    return activate_credential(*context_, *session_, ak.handle, ek,
                               make_credential(ek, ak.handle.name().value(), secret));
  }

  Swtpm tpm_{Swtpm::Setup::endorsed};
  Swtpm other_;
  std::unique_ptr<Context> context_;
  Handle srk_;
  std::unique_ptr<Session> session_;
  Bytes unique_ = Bytes(32, 0x17);
  Bytes nonce_ = Bytes(32, 0x33);
};

class EkTypeTest : public AttestationTest, public ::testing::WithParamInterface<EkType> {
 protected:
  void SetUp() override {
    if (GetParam() == EkType::p256) tpm_.add_p256_certificate();
    AttestationTest::SetUp();
  }
};

TEST_P(EkTypeTest, CertificateIsFoundCutAndItsKeyActivatesCredentials) {
  const EkType type = GetParam();
  const auto certificate = read_ek_certificate(*context_, type).value();
  ASSERT_TRUE(certificate.has_value());
  const std::string given = type == EkType::p256   ? "ek.cert"
                            : type == EkType::p384 ? "certs/ek-secp384r1.crt"
                                                   : "certs/ek-rsa2048.crt";
  EXPECT_EQ(*certificate, file(given)) << "exactly the bytes that its CA signed";

  srk_ = Handle();  // three slots: two keys and one to spare
  const EndorsementKey ek = find_endorsement_key(*context_, type, *certificate).value();
  EXPECT_EQ(ek.handle.is_persistent(), type != EkType::p256);
  const auto secret = activate(ek);
  ASSERT_TRUE(secret) << secret.error().detail;
  EXPECT_TRUE(secret->equals(Bytes(32, 0x42)));
}

TEST_P(EkTypeTest, EvictedKeyIsMadeAgain) {
  const EkType type = GetParam();
  ASSERT_EQ(tpm_.tool("tpm2_evictcontrol -Q -C o -c 0x81010001 && tpm2_evictcontrol -Q -C o -c 0x81010016"), 0);
  const Bytes certificate = *read_ek_certificate(*context_, type).value();
  srk_ = Handle();
  const auto ek = find_endorsement_key(*context_, type, certificate);
  ASSERT_TRUE(ek) << ek.error().detail;
  EXPECT_FALSE(ek->handle.is_persistent());
  EXPECT_TRUE(activate(*ek));
}

INSTANTIATE_TEST_SUITE_P(All, EkTypeTest, ::testing::ValuesIn(ek_types), [](const auto& type) {
  std::string name(to_string(type.param));
  std::erase(name, '-');
  return name;
});

TEST_F(AttestationTest, AbsentCertificatesAreNoError) {
  EXPECT_FALSE(read_ek_certificate(*context_, EkType::p256).value().has_value());
  EXPECT_TRUE(read_platform_certificate(*context_).value().has_value());
}

TEST_F(AttestationTest, CertificateOfAnotherTpmIsSaid) {
  const Swtpm foreign(Swtpm::Setup::endorsed);
  const auto there = Context::open(foreign.tcti()).value();
  const Bytes certificate = *read_ek_certificate(*there, EkType::rsa2048).value();
  const auto refused = find_endorsement_key(*context_, EkType::rsa2048, certificate);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-ek-mismatch");
  EXPECT_THAT(refused.error().detail, HasSubstr("maker"));
}

TEST_F(AttestationTest, ChainIsReadAcrossIndicesAndPadding) {
  const Bytes leaf = *read_ek_certificate(*context_, EkType::rsa2048).value();
  EXPECT_TRUE(read_ek_chain(*context_, leaf).value().empty());
  // The issuer and its root, cut anywhere, with padding between, and an index that nobody may read.
  ASSERT_EQ(
      tpm_.tool(
          "{ openssl x509 -in ca/swtpm-localca-rootca-cert.pem -outform der; printf '\\377\\377\\000'; "
          "openssl x509 -in ca/issuercert.pem -outform der; printf '\\377'; } >chain && split -n 3 -d chain part && "
          "for i in 0 1 2; do tpm2_nvdefine -Q 0x01C0010$i -C o -s $(stat -c %s part0$i) -a "
          "'ownerwrite|ownerread|authread|no_da' && tpm2_nvwrite -Q 0x01C0010$i -C o -i part0$i || exit 1; done && "
          "echo -n abcd >x && tpm2_nvdefine -Q 0x01C00105 -C o -s 4 -p secret -a 'ownerwrite|authread' && "
          "tpm2_nvwrite -Q 0x01C00105 -C o -i x"),
      0);
  const auto chain = read_ek_chain(*context_, leaf);
  ASSERT_TRUE(chain) << chain.error().detail;
  ASSERT_EQ(tpm_.tool("openssl x509 -in ca/issuercert.pem -outform der >issuer.der"), 0);
  EXPECT_THAT(*chain, ::testing::ElementsAre(file("issuer.der"))) << "no root";
}

TEST_F(AttestationTest, IndexThatNeedsAPasswordIsNotTried) {
  ASSERT_EQ(tpm_.tool("tpm2_nvdefine -Q 0x01C0000A -C o -s 4 -p secret -a 'ownerwrite|authread' && echo -n abcd >x && "
                      "tpm2_nvwrite -Q 0x01C0000A -C o -i x"),
            0);
  const auto refused = read_ek_certificate(*context_, EkType::p256);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "tpm-nv-unreadable");
  EXPECT_EQ(tpm_.tool("tpm2_getcap properties-variable | grep -q 'LOCKOUT_COUNTER: 0x0$'"), 0);
}

TEST_F(AttestationTest, MakersNonceAndTemplateAreUsed) {
  const Bytes certificate = *read_ek_certificate(*context_, EkType::rsa2048).value();
  ASSERT_EQ(tpm_.tool("tpm2_evictcontrol -Q -C o -c 0x81010001 && echo -n nonce-of-the-maker >n && "
                      "tpm2_nvdefine -Q 0x01C00003 -C o -s 18 -a 'ownerwrite|ownerread|authread|no_da' && "
                      "tpm2_nvwrite -Q 0x01C00003 -C o -i n"),
            0);
  const auto other_key = find_endorsement_key(*context_, EkType::rsa2048, certificate);
  ASSERT_FALSE(other_key) << "the nonce gives another key, which is not the certificate's";
  EXPECT_EQ(other_key.error().reason, "tpm-ek-mismatch");

  TPM2B_PUBLIC custom = ek_rsa2048_template();
  write("t", marshal_public(custom.publicArea).value());
  ASSERT_EQ(tpm_.tool("tpm2_nvundefine -Q 0x01C00003 -C o && tpm2_nvdefine -Q 0x01C00004 -C o -s $(stat -c %s t) -a "
                      "'ownerwrite|ownerread|authread|no_da' && tpm2_nvwrite -Q 0x01C00004 -C o -i t"),
            0);
  EXPECT_TRUE(find_endorsement_key(*context_, EkType::rsa2048, certificate));

  custom.publicArea.objectAttributes |= TPMA_OBJECT_SIGN_ENCRYPT;
  write("t", marshal_public(custom.publicArea).value());
  ASSERT_EQ(tpm_.tool("tpm2_nvwrite -Q 0x01C00004 -C o -i t"), 0);
  EXPECT_EQ(find_endorsement_key(*context_, EkType::rsa2048, certificate).error().reason, "tpm-ek-template");
}

TEST_F(AttestationTest, AttestationKeyIsTheSameForTheSameUniqueAndOutlivesAClear) {
  const Bytes name = create_ak(*context_, *session_, unique_).value().handle.name().value();
  EXPECT_EQ(create_ak(*context_, *session_, unique_).value().handle.name().value(), name);
  EXPECT_NE(create_ak(*context_, *session_, Bytes(32, 0x18)).value().handle.name().value(), name);
  session_.reset();
  srk_ = Handle();
  ASSERT_EQ(tpm_.tool("tpm2_clear -Q"), 0);
  SetUp();
  EXPECT_EQ(create_ak(*context_, *session_, unique_).value().handle.name().value(), name);
}

TEST_F(AttestationTest, CredentialForAnotherAttestationKeyIsRefused) {
  const Bytes certificate = *read_ek_certificate(*context_, EkType::p384).value();
  const EndorsementKey ek = find_endorsement_key(*context_, EkType::p384, certificate).value();
  const Primary ak = create_ak(*context_, *session_, unique_).value();
  Bytes name = ak.handle.name().value();
  const Credential good = make_credential(ek, name, Bytes(32, 1));
  name.back() ^= 1U;
  const Credential bad = make_credential(ek, name, Bytes(32, 1));
  EXPECT_EQ(activate_credential(*context_, *session_, ak.handle, ek, bad).error().reason, "tpm-credential-refused");
  EXPECT_TRUE(activate_credential(*context_, *session_, ak.handle, ek, good));
  for (std::size_t cut = 0; cut < good.blob.size(); cut += 7) {
    const Credential shorter{Bytes(good.blob.begin(), good.blob.begin() + static_cast<std::ptrdiff_t>(cut)),
                             good.secret};
    EXPECT_EQ(activate_credential(*context_, *session_, ak.handle, ek, shorter).error().reason,
              "tpm-structure-malformed");
  }
}

TEST_F(AttestationTest, CertifiesTheKeyUnderTheAttestationKey) {
  const Secret auth = Secret::copy_of(Bytes(32, 0x5A));
  const KeyBlob blob = create_ue_key(*context_, srk_, *session_, auth).value();
  const Handle key = load_ue_key(*context_, srk_, *session_, blob, auth).value();
  const Bytes srk_name = srk_.name().value();
  srk_ = Handle();
  const Primary ak = create_ak(*context_, *session_, unique_).value();
  const auto made = certify(*context_, *session_, key, ak.handle, nonce_);
  ASSERT_TRUE(made) << made.error().detail;

  const TPMS_ATTEST attest = unmarshal_attest(made->attest).value();
  EXPECT_EQ(attest.magic, TPM2_GENERATED_VALUE);
  EXPECT_EQ(attest.type, TPM2_ST_ATTEST_CERTIFY);
  EXPECT_TRUE(std::equal(nonce_.begin(), nonce_.end(), attest.extraData.buffer));
  const Bytes name = name_of(blob.public_area).value();
  EXPECT_TRUE(std::equal(name.begin(), name.end(), attest.attested.certify.name.name));
  const Bytes qualified = qualified_name(qualified_name(hierarchy_name(TPM2_RH_OWNER), srk_name).value(), name).value();
  EXPECT_TRUE(std::equal(qualified.begin(), qualified.end(), attest.attested.certify.qualifiedName.name));
  const Bytes signer = qualified_name(hierarchy_name(TPM2_RH_ENDORSEMENT), name_of(ak.public_area).value()).value();
  EXPECT_TRUE(std::equal(signer.begin(), signer.end(), attest.qualifiedSigner.name));
  const Bytes signature = raw_signature(unmarshal_signature(made->signature).value()).value();
  EXPECT_TRUE(public_key_of(ak.public_area).value().verify(made->attest, signature));
}

TEST_F(AttestationTest, QuoteIsWhatTpm2ToolsAccept) {
  const Primary ak = create_ak(*context_, *session_, unique_).value();
  ASSERT_EQ(tpm_.tool("tpm2_pcrextend 7:sha256=" + std::string(64, 'a')), 0);
  constexpr std::array<std::uint32_t, 10> pcrs{0, 1, 2, 3, 4, 5, 6, 7, 14, 23};
  const auto made = quote(*context_, *session_, ak.handle, pcrs, nonce_);
  ASSERT_TRUE(made) << made.error().detail;
  ASSERT_EQ(made->pcrs.size(), pcrs.size());
  EXPECT_EQ(made->pcrs.at(0), Bytes(32, 0));
  EXPECT_NE(made->pcrs.at(7), Bytes(32, 0));

  write("attest", made->attestation.attest);
  write("signature", made->attestation.signature);
  write("ak.tpmt", marshal_public(ak.public_area.publicArea).value());
  write("nonce", nonce_);
  ASSERT_EQ(tpm_.tool("tpm2_checkquote -Q -u ak.tpmt -m attest -s signature -g sha256 -q $(xxd -p -c 99 nonce)"), 0);
  EXPECT_NE(tpm_.tool("tpm2_checkquote -Q -u ak.tpmt -m attest -s signature -g sha256 -q 00 2>/dev/null"), 0);
}

TEST_F(AttestationTest, OnlyPcrsThatExistAreQuoted) {
  const Primary ak = create_ak(*context_, *session_, unique_).value();
  for (const std::vector<std::uint32_t>& pcrs : {std::vector<std::uint32_t>{}, {0, 24}, {4294967295U}}) {
    EXPECT_EQ(quote(*context_, *session_, ak.handle, pcrs, nonce_).error().reason, "tpm-pcr-selection");
  }
}

}  // namespace
}  // namespace avseal::tpm
