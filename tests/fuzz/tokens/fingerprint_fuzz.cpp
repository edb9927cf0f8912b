#include <cstdlib>

#include "tokens/fingerprint.hpp"

using namespace avseal;  // the harness is its own program

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto sdp = tokens::Fingerprint::from_sdp(as_text(bytes));
  if (sdp && !(tokens::Fingerprint::from_mky(sdp->algorithm(), sdp->to_mky_dig()).value() == *sdp)) std::abort();
  const auto x5t = tokens::Fingerprint::from_x5t(as_text(bytes));
  if (x5t && x5t->to_x5t() != as_text(bytes)) std::abort();
  return 0;
}
