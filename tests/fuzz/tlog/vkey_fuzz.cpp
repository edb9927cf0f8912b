// A verifier key as an auditor is given it: what is read has that one spelling, and can verify.
#include <cstdlib>

#include "tlog/note.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto key = tlog::VerifierKey::parse(as_text({data, size}));
  if (!key) return 0;
  if (key->text() != as_text({data, size})) std::abort();
  if (key->verify("text\n", Bytes(72))) std::abort();
  return 0;
}
