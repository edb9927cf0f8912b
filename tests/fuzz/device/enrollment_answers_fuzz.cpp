// What an enrollment role answers.
#include <cstdlib>

#include "device/enrollment_messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = avseal::as_text(avseal::ByteView(data, size));
  if (const auto challenge = avseal::device::parse_challenge(text)) {
    if (challenge->nonce.size() != 32) std::abort();
    for (const auto pcr : challenge->pcrs) {
      if (pcr >= avseal::tpm::pcr_count) std::abort();
    }
  }
  if (const auto issued = avseal::device::parse_issued(text)) {
    if (issued->chain.empty() || issued->device.size() != 64) std::abort();
  }
  return 0;
}
