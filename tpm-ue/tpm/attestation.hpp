// The attestation key and what it proves.
#pragma once

#include <map>
#include <span>

#include "tpm/endorsement.hpp"
#include "tpm/keys.hpp"

namespace avseal::tpm {

// The primary key of ak_template(unique) in the endorsement hierarchy; the same `unique` always gives the same key,
// also after TPM2_Clear.
Result<Primary> create_ak(Context& context, Session& session, ByteView unique);

// A credential that was made for (endorsement key, Name of the attestation key).
struct Credential {
  Bytes blob;    // TPM2B_ID_OBJECT
  Bytes secret;  // TPM2B_ENCRYPTED_SECRET
};
// Its secret, which leaves the TPM encrypted for `session`. Reasons "tpm-structure-malformed",
// "tpm-credential-refused".
Result<Secret> activate_credential(Context& context, Session& session, const Handle& ak, const EndorsementKey& ek,
                                   const Credential& credential);

struct Attestation {
  Bytes attest;     // TPMS_ATTEST
  Bytes signature;  // TPMT_SIGNATURE
};
// That `key` is in this TPM.
Result<Attestation> certify(Context& context, Session& session, const Handle& key, const Handle& ak,
                            ByteView qualifying_data);

inline constexpr std::uint32_t pcr_count = 24;
struct Quote {
  Attestation attestation;
  std::map<std::uint32_t, Bytes> pcrs;  // the SHA-256 values that were quoted
};
// Values and attestation are of one moment. Reasons "tpm-pcr-selection", "tpm-pcr-moving".
Result<Quote> quote(Context& context, Session& session, const Handle& ak, std::span<const std::uint32_t> pcrs,
                    ByteView qualifying_data);

}  // namespace avseal::tpm
