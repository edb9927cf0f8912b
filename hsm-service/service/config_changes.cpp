#include <algorithm>
#include <array>
#include <set>

#include "service/config.hpp"

namespace avseal::service {
namespace {

// What a running service takes: a member, or a whole table.
constexpr std::array<std::string_view, 10> reloadable = {"authorization",     "clients",
                                                         "dac.issuers",       "keyring.attempt_limit_ms",
                                                         "keyring.max_queue", "keyring.verify_after_sign",
                                                         "keyring.window",    "keys",
                                                         "log.level",         "tokens"};

bool is_reloadable(std::string_view member) {
  return std::any_of(reloadable.begin(), reloadable.end(), [&](std::string_view name) {
    return member == name || (member.starts_with(name) && member[name.size()] == '.');
  });
}

}  // namespace

std::vector<std::string> needs_restart(const Config& running, const Config& wanted) {
  std::set<std::string> changed;
  for (const auto* side : {&running.members, &wanted.members}) {
    for (const auto& [name, text] : *side) {
      const auto before = running.members.find(name);
      const auto after = wanted.members.find(name);
      const bool same =
          before != running.members.end() && after != wanted.members.end() && before->second == after->second;
      if (!same && !is_reloadable(name)) changed.insert(name);
    }
  }
  if (running.authorization.has_value() != wanted.authorization.has_value()) changed.insert("authorization");
  return {changed.begin(), changed.end()};
}

}  // namespace avseal::service
