#include "structures/public_area.hpp"

#include <gtest/gtest.h>

#include "structures/attest.hpp"
#include "structures/templates.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::tpm {
namespace {

// The generator of P-256: a point that is certainly on the curve.
constexpr std::string_view gx = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
constexpr std::string_view gy = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

void set(TPM2B_ECC_PARAMETER& number, ByteView bytes) {
  number.size = static_cast<UINT16>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), number.buffer);
}

KeyBlob sample_blob() {
  KeyBlob blob;
  blob.public_area = ue_key_template();
  set(blob.public_area.publicArea.unique.ecc.x, *tokens::hex_decode(gx));
  set(blob.public_area.publicArea.unique.ecc.y, *tokens::hex_decode(gy));
  blob.private_area.size = 128;
  return blob;
}

TEST(StructuresTest, UeKeyTemplateHasExactlyTheAttributesOfTheDesign) {
  const TPMT_PUBLIC area = ue_key_template().publicArea;
  EXPECT_EQ(area.objectAttributes, 0x40472U);
  EXPECT_EQ(area.type, TPM2_ALG_ECC);
  EXPECT_EQ(area.nameAlg, TPM2_ALG_SHA256);
  EXPECT_EQ(area.authPolicy.size, 0);
  EXPECT_EQ(area.parameters.eccDetail.scheme.scheme, TPM2_ALG_ECDSA);
  EXPECT_EQ(area.parameters.eccDetail.scheme.details.ecdsa.hashAlg, TPM2_ALG_SHA256);
  EXPECT_EQ(area.parameters.eccDetail.curveID, TPM2_ECC_NIST_P256);
}

TEST(StructuresTest, SrkTemplateIsARestrictedStorageKeyWithoutLockout) {
  EXPECT_EQ(srk_template().publicArea.objectAttributes, 0x30472U);
}

TEST(StructuresTest, TemplateComparisonIgnoresOnlyThePoint) {
  const KeyBlob blob = sample_blob();
  EXPECT_TRUE(matches_template(blob.public_area, ue_key_template()));
  EXPECT_FALSE(matches_template(blob.public_area, srk_template()));

  for (const TPMA_OBJECT bit : {TPMA_OBJECT_NODA, TPMA_OBJECT_FIXEDTPM, TPMA_OBJECT_FIXEDPARENT, TPMA_OBJECT_RESTRICTED,
                                TPMA_OBJECT_DECRYPT, TPMA_OBJECT_ENCRYPTEDDUPLICATION, TPMA_OBJECT_ADMINWITHPOLICY,
                                TPMA_OBJECT_SENSITIVEDATAORIGIN, TPMA_OBJECT_USERWITHAUTH, TPMA_OBJECT_SIGN_ENCRYPT}) {
    TPM2B_PUBLIC other = blob.public_area;
    other.publicArea.objectAttributes ^= bit;
    EXPECT_FALSE(matches_template(other, ue_key_template())) << std::hex << bit;
  }
  TPM2B_PUBLIC other = blob.public_area;
  other.publicArea.authPolicy.size = 32;
  EXPECT_FALSE(matches_template(other, ue_key_template()));
  other = blob.public_area;
  other.publicArea.type = TPM2_ALG_RSA;
  EXPECT_FALSE(matches_template(other, ue_key_template()));
}

TEST(StructuresTest, KeyBlobRoundTrips) {
  const Bytes bytes = marshal(sample_blob()).value();
  EXPECT_EQ(bytes.size(), 90U + 2U + 128U);
  const auto again = unmarshal_key_blob(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(marshal(*again).value(), bytes);
}

TEST(StructuresTest, KeyBlobOfAnyOtherLengthIsRefused) {
  Bytes bytes = marshal(sample_blob()).value();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = unmarshal_key_blob(ByteView(bytes).first(size));
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().reason, "tpm-structure-malformed");
  }
  bytes.push_back(0);
  EXPECT_FALSE(unmarshal_key_blob(bytes));
  EXPECT_FALSE(unmarshal_key_blob(Bytes(key_blob_max_size + 1)));
}

TEST(StructuresTest, KeyBlobWithoutPrivatePartIsRefused) {
  KeyBlob blob = sample_blob();
  blob.private_area.size = 0;
  EXPECT_FALSE(unmarshal_key_blob(marshal(blob).value()));
}

TEST(StructuresTest, NameIsAlgorithmAndDigestOfThePublicArea) {
  const Bytes name = name_of(sample_blob().public_area).value();
  ASSERT_EQ(name.size(), 34U);
  const Bytes blob = marshal(sample_blob()).value();
  const tokens::Sha256 digest = tokens::sha256(ByteView(blob).subspan(2, 88));  // TPMT_PUBLIC behind its size
  EXPECT_EQ(tokens::hex_encode(name), "000b" + tokens::hex_encode(digest));

  TPM2B_PUBLIC other = sample_blob().public_area;
  other.publicArea.nameAlg = TPM2_ALG_SHA384;
  EXPECT_EQ(name_of(other).value().size(), 50U);
  other.publicArea.nameAlg = TPM2_ALG_SHA1;
  EXPECT_FALSE(name_of(other));
}

TEST(StructuresTest, PublicKeyIsTheCheckedPoint) {
  TPM2B_PUBLIC object = sample_blob().public_area;
  const auto key = public_key_of(object);
  ASSERT_TRUE(key);
  EXPECT_EQ(tokens::hex_encode(key->point()), "04" + std::string(gx) + std::string(gy));

  object.publicArea.unique.ecc.y.buffer[31] ^= 1U;
  EXPECT_FALSE(public_key_of(object)) << "not on the curve";
  object.publicArea.parameters.eccDetail.curveID = TPM2_ECC_NIST_P384;
  EXPECT_FALSE(public_key_of(object));
}

TEST(StructuresTest, ShortSignatureHalvesArePaddedOnTheLeft) {
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
  set(signature.signature.ecdsa.signatureR, Bytes(31, 0xAA));
  set(signature.signature.ecdsa.signatureS, Bytes(32, 0xBB));
  const Bytes raw = raw_signature(signature).value();
  ASSERT_EQ(raw.size(), 64U);
  EXPECT_EQ(raw[0], 0);
  EXPECT_EQ(raw[1], 0xAA);
  EXPECT_EQ(raw[32], 0xBB);
}

TEST(StructuresTest, OverlongSignaturesAndOtherAlgorithmsAreRefused) {
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
  set(signature.signature.ecdsa.signatureR, Bytes(33, 0xAA));
  set(signature.signature.ecdsa.signatureS, Bytes(32, 0xBB));
  EXPECT_FALSE(raw_signature(signature));
  set(signature.signature.ecdsa.signatureR, Bytes(32, 0xAA));
  EXPECT_TRUE(raw_signature(signature));
  signature.signature.ecdsa.hash = TPM2_ALG_SHA1;
  EXPECT_FALSE(raw_signature(signature));
  signature.sigAlg = TPM2_ALG_RSASSA;
  EXPECT_FALSE(raw_signature(signature));
}

}  // namespace
}  // namespace avseal::tpm
