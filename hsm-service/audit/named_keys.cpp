#include "audit/named_keys.hpp"

#include <algorithm>
#include <cctype>

namespace avseal::audit {

namespace {

// A log may say what it likes, but it shall not write lines of its own into a README.
std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return std::isgraph(c) == 0; }, '?');
  return out;
}

void add(std::string_view kid, std::string_view name, std::optional<std::uint64_t> use, NamedKeys& keys) {
  auto& key = keys.try_emplace(printable(kid), NamedKey{printable(name), {}}).first->second;
  if (!use) return;
  key.first_use = std::min(*use, key.first_use.value_or(*use));
}

// `member` of the details: an array of objects with the key's name and thumbprint.
void add_list(const boost::json::object& details, std::string_view member, std::optional<std::uint64_t> use,
              NamedKeys& keys) {
  const auto* list = details.if_contains(member);
  if (list == nullptr || !list->is_array()) return;
  for (const auto& element : list->get_array()) {
    const auto* object = element.if_object();
    const auto* kid = object == nullptr ? nullptr : object->if_contains("kid");
    const auto* name = object == nullptr ? nullptr : object->if_contains("key");
    if (kid == nullptr || name == nullptr || !kid->is_string() || !name->is_string()) continue;
    add(kid->get_string(), name->get_string(), use, keys);
  }
}

}  // namespace

void add_named_keys(const Facts& facts, NamedKeys& keys) {
  for (const auto& use : facts.uses) {
    const auto& user = facts.users[use.user];
    add(user.kid, user.key, facts.first + use.leaf, keys);
  }
  for (const auto& act : facts.acts) {
    if (act.event == "keys.loaded") {
      add_list(act.details, "keys", std::nullopt, keys);
    } else {
      add_list(act.details, "uses", facts.first + act.leaf, keys);
    }
  }
}

}  // namespace avseal::audit
