#include <cstdlib>

#include "tokens/bytes.hpp"
#include "tokens/json.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto value = tokens::parse_json(as_text(bytes));
  if (!value || tokens::has_fraction(*value)) return 0;
  // The canonical form is stable.
  const std::string text = tokens::canonical_json(*value);
  const auto again = tokens::parse_json(text, {.size = text.size(), .depth = 16});
  if (!again || tokens::canonical_json(*again) != text) std::abort();
  return 0;
}
