#include "service/key_states.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace avseal::service {
namespace {

Error unknown(std::string_view name) {
  return errors::make(Category::not_found, "key-unknown",
                      fmt::format("no [[keys]] of this node has the name '{}'; add it to avseald.toml first", name));
}

Error missing_key(const KeyStateRow& row) {
  return errors::make(
      Category::invalid, "key-configuration",
      fmt::format("operators activated key '{}' of kind {}, but no [[keys]] has that name; add it again, "
                  "and activate another one before it is removed",
                  row.name, row.kind));
}

Error impossible(const KeyStateRow& key, std::string_view what) {
  return errors::make(Category::conflict, "key-transition",
                      fmt::format("key '{}' is {}: {}", key.name, to_string(key.state), what));
}

Error overlapping(const KeyStateRow& key, UnixSeconds until, UnixSeconds now) {
  return errors::make(Category::conflict, "key-overlap",
                      fmt::format("what key '{}' signed may be valid for {} s more; wait, or force it with a reason",
                                  key.name, until - now));
}

Result<void> check(const KeyStateRow& key, const KeyChange& change) {
  switch (change.to) {
    case KeyState::staged:
      if (key.state == KeyState::verifying) return {};
      return impossible(key, "only a key that does not sign can be staged, and a retired one never again");
    case KeyState::active:
      if (key.state == KeyState::staged) return {};
      return impossible(key, "only a staged key can be activated");
    case KeyState::retired: {
      if (key.state == KeyState::staged) return {};
      if (key.state != KeyState::verifying) return impossible(key, "activate another key of its kind first");
      const UnixSeconds until = key.since + change.overlap;
      if (change.now < until && change.reason.empty()) return overlapping(key, until, change.now);
      return {};
    }
    case KeyState::verifying:
      break;
  }
  return impossible(key, "it becomes verifying when another key of its kind is activated");
}

}  // namespace

std::vector<KeyStateRow> states_of(const std::vector<keyring::KeyConfig>& keys, const std::vector<KeyStateRow>& rows) {
  std::vector<KeyStateRow> states;
  for (const auto& key : keys) {
    const std::string kind(to_string(key.kind));
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.name == key.name && r.kind == kind; });
    const bool decided = std::any_of(rows.begin(), rows.end(),
                                     [&](const auto& r) { return r.kind == kind && r.state == KeyState::active; });
    const auto initial = key.primary && !decided ? KeyState::active : KeyState::verifying;
    states.push_back(row != rows.end() ? *row : KeyStateRow{key.name, kind, initial, 0, {}, {}});
  }
  return states;
}

Result<std::vector<keyring::KeyConfig>> with_states(std::vector<keyring::KeyConfig> keys,
                                                    const std::vector<KeyStateRow>& rows) {
  const auto states = states_of(keys, rows);
  for (const auto& row : rows) {
    const auto is_row = [&](const auto& s) { return s.name == row.name && s.kind == row.kind; };
    const bool kind_used = std::any_of(states.begin(), states.end(), [&](const auto& s) { return s.kind == row.kind; });
    const bool missing = row.state == KeyState::active && std::none_of(states.begin(), states.end(), is_row);
    if (kind_used && missing) return missing_key(row);
  }
  std::vector<keyring::KeyConfig> out;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (states[i].state == KeyState::retired) continue;
    keys[i].primary = states[i].state == KeyState::active;
    keys[i].cosigns = keys[i].kind == keyring::KeyKind::ledger && states[i].state == KeyState::verifying;
    out.push_back(std::move(keys[i]));
  }
  return out;
}

std::vector<std::string> retired_keys(const std::vector<KeyStateRow>& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) {
    if (row.state == KeyState::retired) names.push_back(row.name);
  }
  return names;
}

std::vector<KeyStateRow> merged(std::vector<KeyStateRow> before, const std::vector<KeyStateRow>& changed) {
  for (const auto& row : changed) {
    std::erase_if(before, [&row](const auto& old) { return old.name == row.name; });
    before.push_back(row);
  }
  return before;
}

Result<std::vector<KeyStateRow>> transition(const std::vector<keyring::KeyConfig>& keys,
                                            const std::vector<KeyStateRow>& rows, const KeyChange& change) {
  auto states = states_of(keys, rows);
  const auto key = std::find_if(states.begin(), states.end(), [&](const auto& s) { return s.name == change.name; });
  if (key == states.end()) return unknown(change.name);
  if (key->state == change.to) return std::vector<KeyStateRow>{};
  AVSEAL_CHECK(check(*key, change));
  const auto changed = [&change](KeyStateRow row, KeyState to) {
    return KeyStateRow{std::move(row.name), std::move(row.kind), to, change.now, change.actor, change.reason};
  };
  std::vector<KeyStateRow> out{changed(*key, change.to)};
  if (change.to != KeyState::active) return out;
  for (const auto& other : states) {
    const bool displaced = other.kind == key->kind && other.state == KeyState::active;
    if (displaced) out.push_back(changed(other, KeyState::verifying));
  }
  return out;
}

}  // namespace avseal::service
