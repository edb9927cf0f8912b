// TPM2_MakeCredential without a TPM (TPM 2.0 part 1, 24).
#pragma once

#include "attestation/ek_certificate.hpp"

namespace avseal::attestation {

struct Credential {
  Bytes blob;    // TPM2B_ID_OBJECT
  Bytes secret;  // TPM2B_ENCRYPTED_SECRET
};

// What only the TPM that holds both `ek` and the object of that Name turns back into `secret`, of at most 32 bytes. The
// costly step of an enrolment: limit rates before it.
Result<Credential> make_credential(const EndorsementKey& ek, ByteView name, ByteView secret);

}  // namespace avseal::attestation
