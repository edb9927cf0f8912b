#pragma once

#include <string_view>

#include "tokens/digest.hpp"
#include "tokens/impu.hpp"

namespace avseal::tokens {

// What the attestations of an enrolment are bound to, as device and enrollment role compute it: the qualifyingData of
// TPM2_Certify and TPM2_Quote. SHA-256 of "avseal-enroll-v1", then nonce, request digest, canonical IMPU and server id,
// each after its length as four bytes, big-endian.
struct EnrolmentBinding {
  ByteView nonce;           // of the challenge
  ByteView request_digest;  // SHA-256 of the certificate request's DER
  const Impu& impu;
  std::string_view server;  // its public URL
};
Sha256 qualifying_data(const EnrolmentBinding& binding);

}  // namespace avseal::tokens
