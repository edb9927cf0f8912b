// Receipts, and what logs and witnesses send to each other: what is read has that one spelling.
#include <cstdlib>

#include "tlog/proof.hpp"
#include "tlog/witness.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  if (const auto proof = tlog::Proof::parse(text)) {
    if (proof->to_string() != text || proof->verify({}, {"log", 1, tlog::leaf_hash({})})) std::abort();
  }
  if (const auto request = tlog::AddCheckpoint::parse(text); request && request->to_string() != text) std::abort();
  if (const auto lines = tlog::parse_cosignatures(text)) {
    std::string again;
    for (const auto& signature : *lines) again += signature.line();
    if (again != text) std::abort();
  }
  return 0;
}
