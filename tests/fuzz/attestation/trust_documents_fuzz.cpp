// Anchor bundles and PCR sets, by their first byte.
#include <cstdlib>

#include "attestation/anchors.hpp"
#include "attestation/pcr_sets.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = as_text({data + 1, size - 1});
  if (data[0] % 2 == 0) {
    const auto anchors = attestation::Anchors::parse(text, attestation::AnchorKind::ek);
    if (anchors && anchors->version() < 1) std::abort();
    return 0;
  }
  const auto sets = attestation::PcrSets::parse(text);
  if (!sets) return 0;
  for (const attestation::PcrSet& set : sets->sets) {
    if (set.pcrs.empty() || set.pcrs.rbegin()->first > 23) std::abort();
    const attestation::PcrSet* found = sets->find(set.pcrs);
    if (found == nullptr) std::abort();
  }
  return 0;
}
