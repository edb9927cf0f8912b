// The kinds of keys that avseal uses in a TPM, each as the public area that makes it.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "tokens/bytes.hpp"

namespace avseal::tpm {

// ECC P-256 storage primary with AES-128-CFB and noDA: a lockout caused by other keys must not block the UE key.
TPM2B_PUBLIC srk_template();
// ECDSA P-256 SHA-256 signer: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign (0x40472).
TPM2B_PUBLIC ue_key_template();
// Attestation key, a primary of the endorsement hierarchy: as the UE key, but restricted (0x50472). `unique`, at most
// 32 bytes, tells one such key of a TPM from the next.
TPM2B_PUBLIC ak_template(ByteView unique);

// Endorsement keys of the TCG EK Credential Profile 2.3, annexes B.3 and B.4.
TPM2B_PUBLIC ek_rsa2048_template();  // L-1; certificate at NV 0x01C00002
TPM2B_PUBLIC ek_p256_template();     // L-2; 0x01C0000A
TPM2B_PUBLIC ek_p384_template();     // H-3; 0x01C00016

// Everything but the public key itself (and the `unique` of a template): type, algorithms, the exact attributes,
// policy.
bool matches_template(const TPM2B_PUBLIC& object, const TPM2B_PUBLIC& wanted);

}  // namespace avseal::tpm
