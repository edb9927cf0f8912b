// The second leg, and renewal: does the key that the request is for live in the TPM of this attestation key?
#pragma once

#include <optional>

#include "attestation/device_keys.hpp"
#include "attestation/trust.hpp"
#include "tokens/certificate_request.hpp"
#include "tokens/impu.hpp"

namespace avseal::attestation {

struct SignedAttest {
  Bytes attest;     // TPMS_ATTEST
  Bytes signature;  // TPMT_SIGNATURE by the attestation key
};

struct QuoteEvidence {
  SignedAttest quote;
  PcrValues pcrs;
};

struct Evidence {
  Bytes request;                        // PKCS#10 DER
  std::optional<SignedAttest> certify;  // nothing: the request carries it (csr_attestation.hpp)
  std::optional<QuoteEvidence> quote;
};

// What the device had to bind its evidence to.
struct Challenge {
  Bytes nonce;
  tokens::Impu impu;
  std::string server;  // public URL
};

// The TPM's state when it attested (TPM 2.0 part 2, 10.11), in clear because the attestation key is of the endorsement
// hierarchy.
struct Counters {
  std::uint32_t resets = 0;
  std::uint32_t restarts = 0;
  std::uint64_t clock = 0;  // milliseconds
  bool safe = false;        // the clock was not higher ever before
  std::uint64_t firmware = 0;
};

// Is `now` of the same line of life as `before`, and not earlier in it? An unclean stop may set the clock back, never
// the counters; TPM2_Clear sets all back. Reason "device-rolled-back", a policy check.
Result<void> check_progress(const Counters& before, const Counters& now);

struct Verdict {
  tokens::CertificateRequest request;
  Counters first;  // of certify and quote, in their order; the same if there is one
  Counters last;
  std::string pcr_set;          // the golden set that the quote is of; empty: none
  std::vector<Error> findings;  // what mode = "enforce" would have refused
};

// Pure, and the caller has compared the activated secret. Reasons "attest-missing", "attest-malformed",
// "attest-signature", "attest-magic", "attest-type", "attest-signer", "attest-binding", "attest-name",
// "attest-qualified-name"; "quote-missing", "quote-malformed", "quote-pcr-selection", "quote-pcr-digest",
// "quote-pcr-unknown"; "csr-key-mismatch", those of CertificateRequest; "device-firmware-refused".
Result<Verdict> judge(const Evidence& evidence, const DeviceKeys& keys, const TpmIdentity& tpm,
                      const Challenge& challenge, const Trust& trust, const Policy& policy);

}  // namespace avseal::attestation
