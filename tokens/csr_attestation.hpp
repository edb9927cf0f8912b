// TPM evidence in a certificate request, for those who speak standards: attribute id-aa-attestation
// (1.2.840.113549.1.9.16.2.59, draft-ietf-lamps-csr-attestation), an AttestationBundle with one statement of type
// tcg-attest-tpm-certify (2.23.133.20.1) = SEQUENCE { tpmSAttest, signature, tpmTPublic OPTIONAL }, all octet strings.
// This file alone knows that mapping.
#pragma once

#include <optional>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::tokens {

struct AttestationStatement {
  Bytes attest;     // TPMS_ATTEST
  Bytes signature;  // TPMT_SIGNATURE
  Bytes key;        // TPMT_PUBLIC of the certified key; may be empty
};

// For a device: the CertificationRequestInfo with the statement as a further attribute. The attestation is bound to
// SHA-256 of `request_info`, since it cannot contain itself. Reason "certificate-request-invalid".
Result<Bytes> add_attestation(ByteView request_info, const AttestationStatement& statement);

struct AttestedRequest {
  AttestationStatement statement;
  Bytes request_info;  // without the attribute: what the attestation is bound to
};
// What a request (PKCS#10 DER) carries; nothing if it has no such attribute. Certificates in the bundle are ignored.
// Reason "csr-attestation-malformed", also for several statements.
Result<std::optional<AttestedRequest>> attestation_of(ByteView request);

}  // namespace avseal::tokens
