#include "tokens/der.hpp"

namespace avseal::tokens::der {

Bytes element(std::uint8_t tag, ByteView content) {
  Bytes out{tag};
  const std::size_t size = content.size();
  if (size < 0x80) {
    out.push_back(static_cast<std::uint8_t>(size));
  } else {
    Bytes length;
    for (std::size_t rest = size; rest > 0; rest >>= 8U) length.insert(length.begin(), static_cast<std::uint8_t>(rest));
    out.push_back(static_cast<std::uint8_t>(0x80U | length.size()));
    out.insert(out.end(), length.begin(), length.end());
  }
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

std::optional<Element> take(ByteView& bytes) {
  constexpr std::uint8_t long_tag = 0x1F;
  constexpr std::size_t max_length_octets = 3;
  if (bytes.size() < 2 || (bytes[0] & long_tag) == long_tag) return std::nullopt;
  std::size_t size = bytes[1];
  std::size_t at = 2;
  if (size >= 0x80) {
    const std::size_t octets = size & 0x7FU;
    if (octets == 0 || octets > max_length_octets || bytes.size() < at + octets || bytes[at] == 0) return std::nullopt;
    size = 0;
    for (const std::size_t end = at + octets; at < end; ++at) size = size << 8U | bytes[at];
    if (size < 0x80) return std::nullopt;
  }
  if (bytes.size() - at < size) return std::nullopt;
  const Element element{bytes[0], bytes.subspan(at, size), bytes.first(at + size)};
  bytes = bytes.subspan(at + size);
  return element;
}

std::optional<ByteView> take(ByteView& bytes, std::uint8_t tag) {
  ByteView rest = bytes;
  const auto element = take(rest);
  if (!element || element->tag != tag) return std::nullopt;
  bytes = rest;
  return element->content;
}

Bytes signature_algorithm(Algorithm algorithm) {
  const std::uint8_t hash = algorithm == Algorithm::es256 ? 0x02 : 0x03;
  const Bytes oid{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, hash};
  return element(sequence, oid);
}

Result<Bytes> signed_object(ByteView to_be_signed, Algorithm algorithm, ByteView raw_signature) {
  AVSEAL_TRY(const Bytes signature, signature_to_der(raw_signature));
  Bytes bits{0};  // unused bits
  bits.insert(bits.end(), signature.begin(), signature.end());
  Bytes content(to_be_signed.begin(), to_be_signed.end());
  for (const Bytes& part : {signature_algorithm(algorithm), element(bit_string, bits)}) {
    content.insert(content.end(), part.begin(), part.end());
  }
  return element(sequence, content);
}

}  // namespace avseal::tokens::der
