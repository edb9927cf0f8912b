#include "tpm/structures.hpp"

#include <algorithm>
#include <array>

#include <tss2/tss2_mu.h>

#include "tokens/digest.hpp"
#include "tpm/errors.hpp"

namespace avseal::tpm {

namespace {

constexpr std::size_t p256_bytes = 32;
constexpr TPMA_OBJECT made_in_this_tpm =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;

TPM2B_PUBLIC p256_template(TPMA_OBJECT usage) {
  TPM2B_PUBLIC object{};
  TPMT_PUBLIC& area = object.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = made_in_this_tpm | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | usage;
  TPMS_ECC_PARMS& ecc = area.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_NULL;
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  return object;
}

// Appends a big-endian number of at most 32 bytes, left-padded.
Result<void> append_padded(Bytes& out, const TPM2B_ECC_PARAMETER& number) {
  if (number.size > p256_bytes) return errors::malformed("P-256 coordinate or scalar");
  out.insert(out.end(), p256_bytes - number.size, 0);
  out.insert(out.end(), number.buffer, number.buffer + number.size);
  return {};
}

using Buffer = std::array<std::uint8_t, sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE)>;

Result<Bytes> marshal_area(const TPMT_PUBLIC& area) {
  Buffer buffer{};
  std::size_t size = 0;
  if (Tss2_MU_TPMT_PUBLIC_Marshal(&area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS) {
    return errors::malformed("TPMT_PUBLIC");
  }
  return Bytes(buffer.data(), buffer.data() + size);
}

}  // namespace

TPM2B_PUBLIC srk_template() {
  TPM2B_PUBLIC object = p256_template(TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
  TPMT_SYM_DEF_OBJECT& symmetric = object.publicArea.parameters.eccDetail.symmetric;
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  return object;
}

TPM2B_PUBLIC ue_key_template() {
  TPM2B_PUBLIC object = p256_template(TPMA_OBJECT_SIGN_ENCRYPT);
  TPMT_ECC_SCHEME& scheme = object.publicArea.parameters.eccDetail.scheme;
  scheme.scheme = TPM2_ALG_ECDSA;
  scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  return object;
}

bool matches_template(const TPM2B_PUBLIC& object, const TPM2B_PUBLIC& wanted) {
  if (object.publicArea.type != TPM2_ALG_ECC) return false;
  TPMT_PUBLIC without_point = object.publicArea;
  without_point.unique.ecc = {};
  const auto found = marshal_area(without_point);
  const auto expected = marshal_area(wanted.publicArea);
  return found && expected && *found == *expected;
}

Result<Bytes> marshal(const KeyBlob& blob) {
  Buffer buffer{};
  std::size_t size = 0;
  if (Tss2_MU_TPM2B_PUBLIC_Marshal(&blob.public_area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS ||
      Tss2_MU_TPM2B_PRIVATE_Marshal(&blob.private_area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS) {
    return errors::malformed("TPM2B_PUBLIC and TPM2B_PRIVATE");
  }
  return Bytes(buffer.data(), buffer.data() + size);
}

Result<KeyBlob> unmarshal_key_blob(ByteView bytes) {
  const Error malformed = errors::malformed("TPM2B_PUBLIC and TPM2B_PRIVATE");
  if (bytes.size() > key_blob_max_size) return malformed;
  KeyBlob blob;
  std::size_t offset = 0;
  if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes.data(), bytes.size(), &offset, &blob.public_area) != TSS2_RC_SUCCESS ||
      Tss2_MU_TPM2B_PRIVATE_Unmarshal(bytes.data(), bytes.size(), &offset, &blob.private_area) != TSS2_RC_SUCCESS) {
    return malformed;
  }
  if (offset != bytes.size() || blob.private_area.size == 0) return malformed;
  // The library reads the public part leniently: its own form must give the same bytes again.
  const auto again = marshal(blob);
  if (!again || !std::equal(again->begin(), again->end(), bytes.begin(), bytes.end())) return malformed;
  return blob;
}

Result<Bytes> name_of(const TPM2B_PUBLIC& object) {
  if (object.publicArea.nameAlg != TPM2_ALG_SHA256) return errors::malformed("public area with nameAlg SHA-256");
  AVSEAL_TRY(const Bytes area, marshal_area(object.publicArea));
  const tokens::Sha256 digest = tokens::sha256(area);
  Bytes name{TPM2_ALG_SHA256 >> 8U, TPM2_ALG_SHA256 & 0xFFU};
  name.insert(name.end(), digest.begin(), digest.end());
  return name;
}

Result<tokens::PublicKey> public_key_of(const TPM2B_PUBLIC& object) {
  const TPMT_PUBLIC& area = object.publicArea;
  if (area.type != TPM2_ALG_ECC || area.parameters.eccDetail.curveID != TPM2_ECC_NIST_P256) {
    return errors::malformed("P-256 public area");
  }
  Bytes point{0x04};
  AVSEAL_CHECK(append_padded(point, area.unique.ecc.x));
  AVSEAL_CHECK(append_padded(point, area.unique.ecc.y));
  return tokens::PublicKey::from_point(point);
}

Result<Bytes> raw_signature(const TPMT_SIGNATURE& signature) {
  if (signature.sigAlg != TPM2_ALG_ECDSA || signature.signature.ecdsa.hash != TPM2_ALG_SHA256) {
    return errors::malformed("ECDSA SHA-256 signature");
  }
  Bytes raw;
  AVSEAL_CHECK(append_padded(raw, signature.signature.ecdsa.signatureR));
  AVSEAL_CHECK(append_padded(raw, signature.signature.ecdsa.signatureS));
  return raw;
}

}  // namespace avseal::tpm
