#include <cstdlib>

#include "tokens/crl.hpp"
#include "tokens/der.hpp"
#include "tokens/openssl.hpp"

using namespace avseal;  // the harness is its own program

// The issuer of the list in the corpus, and when that was made.
constexpr std::string_view issuer_pem = R"(-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUOqXMMWjf7u3WF2Kcuo1jfY8sWqcwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFVUUgQ0EwHhcNMjYxMTI1MTYyNzU4WhcNMzYxMTIyMTYyNzU4
WjAQMQ4wDAYDVQQDDAVVRSBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAyQ
Y+FYH0XeVqdOJCP3xnuShP8jUENFNN0CTOc1LWijgmWZtO6N8g69s2qJI9aS0mjc
TsIjvG1wKMuuDt8D1G2jUzBRMB0GA1UdDgQWBBSNpcoP5W9buZ4jXRU9PhlUcVgR
6jAfBgNVHSMEGDAWgBSNpcoP5W9buZ4jXRU9PhlUcVgR6jAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIAv/mTb61gwEI4NYpXfOyqFhr7lJVhg8KsLD
yeKKfFzgAiEAhWsFFFYF0ZP0d83w4eDJF0moJ3XrOYfjcRWpDx0WS/4=
-----END CERTIFICATE-----
)";
constexpr UnixSeconds made = 1795624078;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto issuer = tokens::Certificate::from_pem(issuer_pem).value();
  const ByteView tbs(data, size);
  const auto number = tokens::check_crl_tbs(tbs, issuer, made);
  if (!number) return 0;
  if (*number == tokens::CrlNumber{}) std::abort();
  const auto der = tokens::der::signed_object(tbs, tokens::Algorithm::es256, Bytes(64, 1)).value();
  const unsigned char* position = der.data();
  const tokens::ssl::X509Crl crl(d2i_X509_CRL(nullptr, &position, static_cast<long>(der.size())));
  if (!crl || tokens::ssl::to_der<const X509_CRL>(i2d_X509_CRL, crl.get()) != der) std::abort();
  return 0;
}
