// A module's profile: read without harm, and within its bounds if it is accepted.
#include <cstdlib>

#include "tokend/profile.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto profile = tokend::parse_profile({reinterpret_cast<const char*>(data), size}, "p.toml");
  if (!profile) return 0;
  const tokend::Quirks& quirks = profile->quirks;
  if (profile->name != "p" || quirks.sessions.value_or(1) > tokend::max_sessions || quirks.keepalive.count() > 3600) {
    std::abort();
  }
  return 0;
}
