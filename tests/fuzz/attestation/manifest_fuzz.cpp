// A maker's manifest, CSV or JSON.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "attestation/manifest.hpp"
#include "tokens/bytes.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest = attestation::Manifest::parse(as_text({data, size}));
  if (!manifest) return 0;
  std::set<std::string> seen;
  for (const attestation::ManifestEntry& entry : manifest->devices) {
    const bool plain =
        std::all_of(entry.serial.begin(), entry.serial.end(), [](char c) { return c >= ' ' && c < 0x7F; });
    if (entry.device.size() != 64 || entry.serial.empty() || !plain || !seen.insert(entry.device).second) std::abort();
  }
  if (seen.empty() || manifest->version < 1 || manifest->maker.empty()) std::abort();
  return 0;
}
