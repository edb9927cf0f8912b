// The few DER structures that are put together by hand because an HSM or a TPM makes the signature in them.
#pragma once

#include "tokens/public_key.hpp"

namespace avseal::tokens::der {

inline constexpr std::uint8_t sequence = 0x30;
inline constexpr std::uint8_t bit_string = 0x03;

Bytes element(std::uint8_t tag, ByteView content);

// AlgorithmIdentifier ecdsa-with-SHA256 or -SHA384, parameters absent (RFC 5758 section 3.2).
Bytes signature_algorithm(Algorithm algorithm);

// SEQUENCE { to_be_signed, signature_algorithm, BIT STRING signature }: a certificate, request or CRL.
Result<Bytes> signed_object(ByteView to_be_signed, Algorithm algorithm, ByteView raw_signature);

}  // namespace avseal::tokens::der
