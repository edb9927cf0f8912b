// The attestation attribute of a certificate request.
#include <cstdlib>

#include "tokens/csr_attestation.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto found = tokens::attestation_of({data, size});
  if (!found || !*found) return 0;
  // What was taken off can be put on again.
  const auto again = tokens::add_attestation((*found)->request_info, (*found)->statement);
  if (!again) std::abort();
  return 0;
}
