#include "pkcs11/uri.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = avseal::as_text({data, size});
  if (const auto uri = avseal::pkcs11::Uri::parse(text)) (void)uri->matches(CK_TOKEN_INFO{});
  (void)avseal::pkcs11::Uri::parse_token(text);
  (void)avseal::pkcs11::Uri::parse_key(text);
  return 0;
}
