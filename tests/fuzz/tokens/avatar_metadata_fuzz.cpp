#include <cstdlib>

#include "tokens/avatar_metadata.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto parsed = tokens::parse_avatar_metadata(as_text(bytes));
  if (!parsed) return 0;
  // Within the size limit, what was accepted can be built again.
  const auto input = tokens::build_avatar_metadata(parsed->metadata, parsed->x5c.front(), {});
  if (!input && input.error().reason != "metadata-too-large") std::abort();
  return 0;
}
