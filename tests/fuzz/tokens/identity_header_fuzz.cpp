#include <cstdlib>

#include "tokens/bytes.hpp"
#include "tokens/identity_header.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto header = tokens::parse_identity_header(as_text(bytes));
  if (!header) return 0;
  const auto again = tokens::parse_identity_header(tokens::format_identity_header(*header));
  if (!again || again->passport != header->passport || again->info != header->info) std::abort();
  return 0;
}
