// Bodies of the enrollment routes, and the CSR on its way to the CA.
#include <cstdlib>

#include "enrollment/requests.hpp"
#include "tokens/base64.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace avseal;
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  if (data[0] % 3 == 0) {
    const enrollment::Config config;
    const auto wanted = enrollment::parse_code_request(as_text(rest), config);
    if (wanted && (wanted->lifetime < 60 || wanted->lifetime > config.max_code_lifetime)) std::abort();
    return 0;
  }
  const bool pem = data[0] % 3 == 1;
  boost::json::object body{{"code", enrollment::new_code()}};
  body["csr"] = pem ? "-----BEGIN CERTIFICATE REQUEST-----\n" + tokens::base64_encode(rest) +
                          "\n-----END CERTIFICATE REQUEST-----\n"
                    : tokens::base64_encode(rest);
  const auto wanted = data[0] < 0xf0 ? enrollment::parse_simple_request(boost::json::serialize(body))
                                     : enrollment::parse_simple_request(as_text(rest));
  if (!wanted) return 0;
  if (const auto csr = enrollment::check_csr(wanted->csr)) {
    const auto impu = tokens::Impu::parse("sip:alice@a.example").value();
    const auto same = enrollment::check_csr_identity(*csr, impu);
    if (same && csr->san_uris.size() > 1) std::abort();
  }
  return 0;
}
