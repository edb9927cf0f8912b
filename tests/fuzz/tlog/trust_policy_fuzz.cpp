// An auditor's policy: what is read names only what it defines.
#include <cstdlib>

#include "tlog/policy.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto policy = tlog::Policy::parse(as_text({data, size}));
  if (!policy) return 0;
  if (policy->logs.empty()) std::abort();
  for (const auto& group : policy->groups) {
    if (group.needed == 0 || group.needed > group.members.size()) std::abort();
  }
  if (policy->check({"log\n", {}})) std::abort();
  return 0;
}
