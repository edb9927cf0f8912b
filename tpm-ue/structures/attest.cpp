#include "structures/attest.hpp"

#include "structures/exact.hpp"

namespace avseal::tpm {

Result<TPMS_ATTEST> unmarshal_attest(ByteView bytes) {
  return read_exact<TPMS_ATTEST>(bytes, attest_max_size, Tss2_MU_TPMS_ATTEST_Unmarshal, Tss2_MU_TPMS_ATTEST_Marshal,
                                 "TPMS_ATTEST");
}

Result<Bytes> marshal_attest(const TPMS_ATTEST& attest) {
  return write_exact<TPMS_ATTEST>(attest, Tss2_MU_TPMS_ATTEST_Marshal, "TPMS_ATTEST");
}

Result<TPMT_SIGNATURE> unmarshal_signature(ByteView bytes) {
  return read_exact<TPMT_SIGNATURE>(bytes, signature_max_size, Tss2_MU_TPMT_SIGNATURE_Unmarshal,
                                    Tss2_MU_TPMT_SIGNATURE_Marshal, "TPMT_SIGNATURE");
}

Result<Bytes> marshal_signature(const TPMT_SIGNATURE& signature) {
  return write_exact<TPMT_SIGNATURE>(signature, Tss2_MU_TPMT_SIGNATURE_Marshal, "TPMT_SIGNATURE");
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

std::string firmware_text(std::uint64_t version) {
  std::string text;
  for (const unsigned shift : {48U, 32U, 16U, 0U}) {
    text += (text.empty() ? "" : ".") + std::to_string((version >> shift) & 0xFFFFU);
  }
  return text;
}

}  // namespace avseal::tpm
