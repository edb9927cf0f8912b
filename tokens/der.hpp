// The few DER structures that are put together by hand because an HSM or a TPM makes the signature in them, and those
// that OpenSSL does not know.
#pragma once

#include <optional>

#include "tokens/public_key.hpp"

namespace avseal::tokens::der {

inline constexpr std::uint8_t sequence = 0x30;
inline constexpr std::uint8_t integer = 0x02;
inline constexpr std::uint8_t bit_string = 0x03;
inline constexpr std::uint8_t octet_string = 0x04;
inline constexpr std::uint8_t object_identifier = 0x06;
inline constexpr std::uint8_t set = 0x31;

Bytes element(std::uint8_t tag, ByteView content);

// The first element of `bytes`, which is then taken off them; nothing if they do not begin with one in DER: a tag of
// one octet and the shortest form of a definite length.
struct Element {
  std::uint8_t tag = 0;
  ByteView content;
  ByteView whole;
};
std::optional<Element> take(ByteView& bytes);
std::optional<ByteView> take(ByteView& bytes, std::uint8_t tag);  // the content, if it is of this tag

// AlgorithmIdentifier ecdsa-with-SHA256 or -SHA384, parameters absent (RFC 5758 section 3.2).
Bytes signature_algorithm(Algorithm algorithm);

// SEQUENCE { to_be_signed, signature_algorithm, BIT STRING signature }: a certificate, request or CRL.
Result<Bytes> signed_object(ByteView to_be_signed, Algorithm algorithm, ByteView raw_signature);

}  // namespace avseal::tokens::der
