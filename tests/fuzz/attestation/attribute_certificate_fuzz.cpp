// A platform's attribute certificate as a device may send it.
#include <cstdlib>

#include "attestation/attribute_certificate.hpp"

using namespace avseal;
using attestation::AttributeCertificate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView der(data, size);
  const auto certificate = AttributeCertificate::read(der);
  if (!certificate) return 0;
  if (!AttributeCertificate::looks_like_one(der)) std::abort();
  for (const char* oid : {"2.23.133.5.1.1", "2.23.133.5.1.4"}) {
    const auto value = certificate->alternative_name().only(oid);
    if (value && (value->empty() || value->size() > 64)) std::abort();
  }
  static_cast<void>(certificate->valid_at(0));
  return 0;
}
