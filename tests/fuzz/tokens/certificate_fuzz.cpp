#include <cstdlib>

#include "tokens/certificate.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto certificate = tokens::Certificate::from_der(bytes);
  static_cast<void>(tokens::Certificate::chain_from_pem(as_text(bytes)));
  static_cast<void>(tokens::TrustAnchors::create(as_text(bytes)));
  if (!certificate) return 0;
  static_cast<void>(certificate->subject() + certificate->issuer() + certificate->serial_hex());
  const auto again = tokens::Certificate::from_pem(certificate->pem());
  if (!again || again->der() != certificate->der()) std::abort();
  return 0;
}
