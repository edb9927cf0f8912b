// Which keys the leaves of a range name, for the certificates that go along with them.
#pragma once

#include <map>
#include <optional>

#include "audit/facts.hpp"

namespace avseal::audit {

struct NamedKey {
  std::string name;
  std::optional<std::uint64_t> first_use;  // leaf; none: a leaf keys.loaded has the key, and none tells of a use
};

using NamedKeys = std::map<std::string, NamedKey>;  // by thumbprint; both without spaces and control characters

// Bundle after bundle, in the order of the log.
void add_named_keys(const Facts& facts, NamedKeys& keys);

}  // namespace avseal::audit
