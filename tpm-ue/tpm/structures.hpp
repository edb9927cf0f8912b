// TPM 2.0 structures in the form the wire has them: templates, key blobs, Names, signatures.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "tokens/bytes.hpp"
#include "tokens/public_key.hpp"
#include "tokens/result.hpp"

namespace avseal::tpm {

// ECC P-256 storage primary with AES-128-CFB and noDA: a lockout caused by other keys must not block the UE key.
TPM2B_PUBLIC srk_template();
// ECDSA P-256 SHA-256 signer: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign (0x40472).
TPM2B_PUBLIC ue_key_template();
// Everything but the public point: type, algorithms, the exact attributes, empty policy.
bool matches_template(const TPM2B_PUBLIC& object, const TPM2B_PUBLIC& wanted);

// A key as it is stored outside the TPM: TPM2B_PUBLIC || TPM2B_PRIVATE, the form of tpm2_create -u and -r.
struct KeyBlob {
  TPM2B_PUBLIC public_area{};
  TPM2B_PRIVATE private_area{};
};
inline constexpr std::size_t key_blob_max_size = 1024;
Result<Bytes> marshal(const KeyBlob& blob);
Result<KeyBlob> unmarshal_key_blob(
    ByteView bytes);  // exact size, private part not empty. Reason "tpm-structure-malformed"

// nameAlg || SHA-256(TPMT_PUBLIC): 34 bytes. Only SHA-256 names exist here.
Result<Bytes> name_of(const TPM2B_PUBLIC& object);
// The point of a P-256 key, whose coordinates a TPM may have trimmed.
Result<tokens::PublicKey> public_key_of(const TPM2B_PUBLIC& object);
// r || s, each left-padded to 32 bytes; longer ones are refused.
Result<Bytes> raw_signature(const TPMT_SIGNATURE& signature);

}  // namespace avseal::tpm
