// A policy profile: whatever is accepted still demands keys that cannot leave their TPM.
#include <cstdlib>

#include "attestation/policy.hpp"
#include "tokens/bytes.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto policy = attestation::Policy::parse(as_text({data, size}), "p.toml");
  if (!policy) return 0;
  constexpr std::uint32_t no_da = 0x400;
  for (const std::uint32_t mask : policy->ak_attributes) {
    if ((mask | no_da) != 0x50472) std::abort();
  }
  for (const std::uint32_t mask : policy->key_attributes) {
    if ((mask | no_da) != 0x40472) std::abort();
  }
  if (policy->binding.empty() || policy->ek_types.empty() || policy->ak_attributes.empty()) std::abort();
  if (policy->quote_required && policy->pcrs.empty()) std::abort();
  return 0;
}
