// Certificates as they stand in a TPM's NV memory, with whatever is around them.
#include <cstdlib>

#include "tpm/endorsement.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const avseal::ByteView content(data, size);
  if (const auto certificate = avseal::tpm::cut_certificate(content)) {
    if (certificate->size() > size || certificate->size() < 2) std::abort();
    (void)avseal::tpm::ek_hash(*certificate);
  }
  std::size_t sum = 0;
  for (const auto& certificate : avseal::tpm::split_certificates(content)) sum += certificate.size();
  if (sum > size) std::abort();
  return 0;
}
