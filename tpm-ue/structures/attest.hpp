// What a TPM says about itself, and its signatures.
#pragma once

#include <string>

#include <tss2/tss2_tpm2_types.h>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::tpm {

// TPMS_ATTEST of any type and with any magic: exactly the given bytes, none left over. Reason
// "tpm-structure-malformed".
inline constexpr std::size_t attest_max_size = 1024;
Result<TPMS_ATTEST> unmarshal_attest(ByteView bytes);
Result<Bytes> marshal_attest(const TPMS_ATTEST& attest);

// TPMT_SIGNATURE, as exact.
inline constexpr std::size_t signature_max_size = 640;
Result<TPMT_SIGNATURE> unmarshal_signature(ByteView bytes);
Result<Bytes> marshal_signature(const TPMT_SIGNATURE& signature);

// r || s of an ECDSA SHA-256 signature, each left-padded to 32 bytes; longer ones are refused.
Result<Bytes> raw_signature(const TPMT_SIGNATURE& signature);

// "8217.4131.16.2" of TPMS_ATTEST.firmwareVersion.
std::string firmware_text(std::uint64_t version);

}  // namespace avseal::tpm
