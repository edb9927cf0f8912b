#include <cstdlib>

#include "tokens/certificate_request.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto request = tokens::CertificateRequest::from_der(bytes);
  static_cast<void>(tokens::CertificateRequest::from_pem(as_text(bytes)));
  if (request && request->der.size() != size) std::abort();
  return 0;
}
