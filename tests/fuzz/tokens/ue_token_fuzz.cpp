#include <cstdlib>

#include "tokens/ue_token.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto token = tokens::parse_ue_token(as_text(bytes));
  if (!token) return 0;
  static_cast<void>(tokens::verify_ue_token_signature(*token));
  if (!tokens::build_ue_token(token->claims, token->leaf)) std::abort();
  return 0;
}
