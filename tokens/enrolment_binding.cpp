#include "tokens/enrolment_binding.hpp"

namespace avseal::tokens {

Sha256 qualifying_data(const EnrolmentBinding& binding) {
  constexpr std::string_view label = "avseal-enroll-v1";
  Sha256Stream hash;
  hash.update(as_bytes(label));
  for (const ByteView part :
       {binding.nonce, binding.request_digest, as_bytes(binding.impu.canonical()), as_bytes(binding.server)}) {
    const auto size = static_cast<std::uint32_t>(part.size());
    const std::array<std::uint8_t, 4> length{
        static_cast<std::uint8_t>(size >> 24U), static_cast<std::uint8_t>((size >> 16U) & 0xFFU),
        static_cast<std::uint8_t>((size >> 8U) & 0xFFU), static_cast<std::uint8_t>(size & 0xFFU)};
    hash.update(length);
    hash.update(part);
  }
  return hash.finish();
}

}  // namespace avseal::tokens
