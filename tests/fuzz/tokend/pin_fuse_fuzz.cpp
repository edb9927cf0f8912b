// The PIN fuse's file: whatever is read must be written as the same bytes.
#include <cstdlib>

#include "tokend/pin_fuse.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto state = tokend::parse_fuse(text);
  if (state && tokend::format_fuse(*state) != text) std::abort();
  return 0;
}
