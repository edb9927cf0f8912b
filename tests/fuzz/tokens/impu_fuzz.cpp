#include <cstdlib>

#include "tokens/bytes.hpp"
#include "tokens/impu.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto impu = tokens::Impu::parse(as_text(bytes));
  if (!impu) return 0;
  // The canonical form is stable.
  const auto again = tokens::Impu::parse(impu->canonical());
  if (!again || *again != *impu) std::abort();
  return 0;
}
