#include <cstdlib>

#include "tokens/jws.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto jws = tokens::parse_jws(as_text(bytes));
  // Canonical base64url has one text for each value.
  if (jws && tokens::jws_assemble(jws->signing_input, jws->signature) != as_text(bytes)) std::abort();
  return 0;
}
