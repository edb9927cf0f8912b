#include "structures/templates.hpp"

#include <algorithm>
#include <array>

#include "structures/public_area.hpp"

namespace avseal::tpm {

namespace {

constexpr TPMA_OBJECT made_in_this_tpm =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;

// PolicySecret(TPM_RH_ENDORSEMENT): PolicyA of the EK Credential Profile.
constexpr std::array<std::uint8_t, 32> policy_a{0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC,
                                                0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52,
                                                0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA};
// PolicyB for SHA-384: PolicyA or what an NV index authorizes.
constexpr std::array<std::uint8_t, 48> policy_b_sha384{
    0xB2, 0x6E, 0x7D, 0x28, 0xD1, 0x1A, 0x50, 0xBC, 0x53, 0xD8, 0x82, 0xBC, 0xF5, 0xFD, 0x3A, 0x1A,
    0x07, 0x41, 0x48, 0xBB, 0x35, 0xD3, 0xB4, 0xE4, 0xCB, 0x1C, 0x0A, 0xD9, 0xBD, 0xE4, 0x19, 0xCA,
    0xCB, 0x47, 0xBA, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0F, 0x9F, 0xC0, 0x00, 0xF3, 0xF8, 0x0E, 0x12};

TPM2B_PUBLIC ecc_template(TPMI_ECC_CURVE curve, TPMA_OBJECT attributes) {
  TPM2B_PUBLIC object{};
  TPMT_PUBLIC& area = object.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = made_in_this_tpm | attributes;
  TPMS_ECC_PARMS& ecc = area.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_NULL;
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = curve;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return object;
}

TPM2B_PUBLIC signer_template(TPMA_OBJECT usage) {
  TPM2B_PUBLIC object = ecc_template(TPM2_ECC_NIST_P256, TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | usage);
  TPMT_ECC_SCHEME& scheme = object.publicArea.parameters.eccDetail.scheme;
  scheme.scheme = TPM2_ALG_ECDSA;
  scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  return object;
}

TPMT_SYM_DEF_OBJECT aes_cfb(TPMI_AES_KEY_BITS bits) {
  TPMT_SYM_DEF_OBJECT symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = bits;
  symmetric.mode.aes = TPM2_ALG_CFB;
  return symmetric;
}

template <std::size_t size>
void set_policy(TPMT_PUBLIC& area, const std::array<std::uint8_t, size>& digest) {
  area.authPolicy.size = size;
  std::copy(digest.begin(), digest.end(), area.authPolicy.buffer);
}

void drop_key(TPMT_PUBLIC& area) {
  if (area.type == TPM2_ALG_ECC) area.unique.ecc = {};
  if (area.type == TPM2_ALG_RSA) area.unique.rsa = {};
}

constexpr TPMA_OBJECT storage = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

}  // namespace

TPM2B_PUBLIC srk_template() {
  TPM2B_PUBLIC object = ecc_template(TPM2_ECC_NIST_P256, TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | storage);
  object.publicArea.parameters.eccDetail.symmetric = aes_cfb(128);
  return object;
}

TPM2B_PUBLIC ue_key_template() {
  return signer_template(TPMA_OBJECT_SIGN_ENCRYPT);
}

TPM2B_PUBLIC ak_template(ByteView unique) {
  TPM2B_PUBLIC object = signer_template(TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_RESTRICTED);
  TPM2B_ECC_PARAMETER& x = object.publicArea.unique.ecc.x;
  x.size = static_cast<UINT16>(std::min<std::size_t>(unique.size(), 32));
  std::copy_n(unique.begin(), x.size, x.buffer);
  return object;
}

TPM2B_PUBLIC ek_rsa2048_template() {
  TPM2B_PUBLIC object{};
  TPMT_PUBLIC& area = object.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = made_in_this_tpm | TPMA_OBJECT_ADMINWITHPOLICY | storage;
  set_policy(area, policy_a);
  TPMS_RSA_PARMS& rsa = area.parameters.rsaDetail;
  rsa.symmetric = aes_cfb(128);
  rsa.scheme.scheme = TPM2_ALG_NULL;
  rsa.keyBits = 2048;
  area.unique.rsa.size = 256;
  return object;
}

TPM2B_PUBLIC ek_p256_template() {
  TPM2B_PUBLIC object = ecc_template(TPM2_ECC_NIST_P256, TPMA_OBJECT_ADMINWITHPOLICY | storage);
  TPMT_PUBLIC& area = object.publicArea;
  set_policy(area, policy_a);
  area.parameters.eccDetail.symmetric = aes_cfb(128);
  area.unique.ecc.x.size = 32;
  area.unique.ecc.y.size = 32;
  return object;
}

TPM2B_PUBLIC ek_p384_template() {
  TPM2B_PUBLIC object =
      ecc_template(TPM2_ECC_NIST_P384, TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_ADMINWITHPOLICY | storage);
  TPMT_PUBLIC& area = object.publicArea;
  area.nameAlg = TPM2_ALG_SHA384;
  set_policy(area, policy_b_sha384);
  area.parameters.eccDetail.symmetric = aes_cfb(256);
  return object;
}

bool matches_template(const TPM2B_PUBLIC& object, const TPM2B_PUBLIC& wanted) {
  TPMT_PUBLIC found = object.publicArea;
  TPMT_PUBLIC expected = wanted.publicArea;
  if (found.type != expected.type) return false;
  drop_key(found);
  drop_key(expected);
  const auto found_bytes = marshal_public(found);
  const auto expected_bytes = marshal_public(expected);
  return found_bytes && expected_bytes && *found_bytes == *expected_bytes;
}

}  // namespace avseal::tpm
