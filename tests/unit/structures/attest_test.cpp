#include "structures/attest.hpp"

#include <gtest/gtest.h>

#include "structures/public_area.hpp"
#include "structures/templates.hpp"
#include "tokens/base64.hpp"

namespace avseal::tpm {
namespace {

Bytes certify_attest() {
  TPMS_ATTEST attest{};
  attest.magic = TPM2_GENERATED_VALUE;
  attest.type = TPM2_ST_ATTEST_CERTIFY;
  attest.qualifiedSigner.size = 34;
  attest.extraData.size = 32;
  attest.attested.certify.name.size = 34;
  attest.attested.certify.qualifiedName.size = 34;
  return marshal_attest(attest).value();
}

Bytes ecdsa_signature() {
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
  signature.signature.ecdsa.signatureR.size = 32;
  signature.signature.ecdsa.signatureS.size = 31;
  return marshal_signature(signature).value();
}

TEST(AttestTest, HasTheSizeThatTpmsGiveIt) {
  EXPECT_EQ(certify_attest().size(), 173U);
}

TEST(AttestTest, EveryOtherLengthIsRefused) {
  for (const Bytes& good : {certify_attest(), ecdsa_signature(), marshal_public(srk_template().publicArea).value()}) {
    const auto reads = [&](ByteView bytes) {
      return unmarshal_attest(bytes) || unmarshal_signature(bytes) || unmarshal_public(bytes);
    };
    EXPECT_TRUE(reads(good));
    for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(reads(ByteView(good).first(size))) << size;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_FALSE(reads(longer));
  }
  EXPECT_FALSE(unmarshal_attest(Bytes(attest_max_size + 1)));
  EXPECT_FALSE(unmarshal_signature(Bytes(signature_max_size + 1)));
  EXPECT_FALSE(unmarshal_public(Bytes(public_area_max_size + 1)));
  EXPECT_EQ(unmarshal_attest({}).error().reason, "tpm-structure-malformed");
}

TEST(AttestTest, SizesInsideAreBounded) {
  Bytes attest = certify_attest();
  attest[6] = 0xFF;  // qualifiedSigner
  EXPECT_FALSE(unmarshal_attest(attest));
  Bytes signature = ecdsa_signature();
  signature[4] = 0xFF;
  EXPECT_FALSE(unmarshal_signature(signature));
}

TEST(AttestTest, FirmwareIsReadAsTheVendorsWriteIt) {
  EXPECT_EQ(firmware_text(0x0007'0055'11CB'0000), "7.85.4555.0");
  EXPECT_EQ(firmware_text(0), "0.0.0.0");
}

TEST(NamesTest, QualifiedNamesAreChainedFromTheHierarchy) {
  EXPECT_EQ(tokens::hex_encode(hierarchy_name(TPM2_RH_ENDORSEMENT)), "4000000b");
  // As tpm2_readpublic shows them for the EK of a software TPM.
  const Bytes name = *tokens::hex_decode("000b39d6a997ca748e774e412ce3d37c610cd163036cee797fbab597a39ef834f9fd");
  EXPECT_EQ(tokens::hex_encode(qualified_name(hierarchy_name(TPM2_RH_ENDORSEMENT), name).value()),
            "000bee6a7fc0c3fa2725a642ee432039b5bf037365d30ce92e5a212446da99ef368a");
  const Bytes name384 = *tokens::hex_decode(
      "000c8c0d8caa3a1762ec1a7d333855a756c3cac80a9a42db2fb1016c53c907b7c5c25ba5514418d299ec1841c5407dbc5f26");
  EXPECT_EQ(tokens::hex_encode(qualified_name(hierarchy_name(TPM2_RH_ENDORSEMENT), name384).value()),
            "000cfc6f3a7733f2ba9a4572e4106ea178e486a9a4cc0c78be0c56ff31fd14cd1709cb28838ebec25c3c9aba9f344260f3d9");
  EXPECT_FALSE(qualified_name({}, Bytes{0x00, 0x04, 1}));  // SHA-1
  EXPECT_FALSE(qualified_name({}, Bytes{0x00}));
}

TEST(TemplatesTest, AttestationKeyIsTheUeKeyRestricted) {
  EXPECT_EQ(ak_template({}).publicArea.objectAttributes, 0x50472U);
  EXPECT_TRUE(matches_template(ak_template(Bytes(32, 1)), ak_template({})));
  EXPECT_FALSE(matches_template(ue_key_template(), ak_template({})));
}

TEST(TemplatesTest, EndorsementKeysAreTheTcgs) {
  EXPECT_EQ(ek_rsa2048_template().publicArea.objectAttributes, 0x300B2U);
  EXPECT_EQ(ek_p256_template().publicArea.objectAttributes, 0x300B2U);
  EXPECT_EQ(ek_p384_template().publicArea.objectAttributes, 0x300F2U);
  TPM2B_PUBLIC other = ek_rsa2048_template();
  other.publicArea.unique.rsa.buffer[7] = 1;
  EXPECT_TRUE(matches_template(other, ek_rsa2048_template()));
  other.publicArea.parameters.rsaDetail.keyBits = 3072;
  EXPECT_FALSE(matches_template(other, ek_rsa2048_template()));
}

}  // namespace
}  // namespace avseal::tpm
