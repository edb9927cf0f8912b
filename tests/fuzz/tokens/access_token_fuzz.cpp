#include <cstdlib>

#include "tokens/access_token.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto token = tokens::parse_access_token(as_text(bytes));
  if (!token) return 0;
  // Another key: the signature is what fails, after everything was read.
  static const auto key = tokens::PublicKey::from_jwk(
      tokens::parse_json(
          R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})")
          .value());
  if (tokens::verify_access_token(*token, key.value(), {}, token->claims.iat)) std::abort();
  return 0;
}
