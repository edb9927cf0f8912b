// The authorization policy file: nothing is granted by a file that cannot be read whole.
#include "authorization/policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto impu = avseal::tokens::Impu::parse("sip:alice@a.example").value();
  const auto policy = avseal::authorization::Policy::parse({reinterpret_cast<const char*>(data), size}, "policy.toml");
  if (policy) static_cast<void>(policy->decide({impu, "urn:avatar:1", "xr-meeting", "xr-as-1", 1'763'930'000}));
  return 0;
}
