#include <cstdlib>

#include "tokens/passport.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto parsed = tokens::parse_passport(as_text(bytes));
  if (!parsed) return 0;
  // What was accepted can be built, and then reads the same.
  const auto input = tokens::build_passport(parsed->passport, tokens::Algorithm::es256);
  if (!input) std::abort();
  const auto again = tokens::parse_passport(tokens::jws_assemble(*input, Bytes(64, 1)));
  if (!again || again->passport.dest != parsed->passport.dest) std::abort();
  static_cast<void>(parsed->passport.orig.impu());
  return 0;
}
