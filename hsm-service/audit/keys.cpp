#include "audit/keys.hpp"

#include <set>

#include <fmt/format.h>

#include "audit/counters.hpp"
#include "audit/rules.hpp"
#include "audit/saved.hpp"
#include "tokens/json.hpp"

namespace avseal::audit {

namespace {

struct Named {
  std::string kid;
  KeyState state;
};

Result<std::vector<Named>> read(const boost::json::object& details) {
  const auto it = details.find("keys");
  const auto* list = it == details.end() ? nullptr : it->value().if_array();
  if (list == nullptr) {
    return errors::make(Category::bad_request, "member-missing", "expected an array `keys`, found none");
  }
  std::vector<Named> keys;
  for (const auto& element : *list) {
    AVSEAL_TRY(auto reader, tokens::ObjectReader::open(element));
    Named named;
    AVSEAL_TRY(const auto key, reader.string("key"));
    AVSEAL_TRY(const auto kid, reader.string("kid"));
    AVSEAL_TRY(const auto kind, reader.string("kind"));
    AVSEAL_TRY(const auto state, reader.string("state"));
    AVSEAL_CHECK(reader.finish());
    named.kid = kid;
    named.state = {std::string(key), std::string(kind), std::string(state), 0};
    keys.push_back(std::move(named));
  }
  return keys;
}

}  // namespace

void KeyHistory::loaded(const boost::json::object& details, bool midway, std::uint64_t leaf, std::int64_t time,
                        Verdict& verdict) {
  auto named = read(details);
  if (!named) {
    return verdict.broken(rules::details_malformed, fmt::format("leaf {}", leaf), named.error().detail);
  }
  std::set<std::string> present;
  for (auto& key : *named) {
    present.insert(key.kid);
    auto& known = keys_[key.kid];
    const bool same = known.state == key.state.state;
    const bool first = known.state.empty() && !midway;
    key.state.since = same ? known.since : first ? 0 : time;
    known = std::move(key.state);
  }
  for (auto& [kid, state] : keys_) {
    if (present.count(kid) != 0 || state.state == "retired") continue;
    state.state = "retired";
    state.since = time;
  }
}

const KeyState* KeyHistory::find(std::string_view kid) const {
  const auto found = keys_.find(std::string(kid));
  return found == keys_.end() ? nullptr : &found->second;
}

std::vector<std::string> KeyHistory::names_of_kind(std::string_view kind) const {
  std::vector<std::string> names;
  for (const auto& [kid, state] : keys_) {
    if (state.kind == kind) names.push_back(state.key);
  }
  return names;
}

// What was begun with a key before its state changed may end after that.
void KeyHistory::check(const KeyState& state, std::string_view key, std::string_view kind, std::uint64_t leaf,
                       std::int64_t time, Verdict& verdict) {
  const auto place = [leaf] { return fmt::format("leaf {}", leaf); };
  if (state.key != key) {
    verdict.broken(rules::key_unknown, place(),
                   fmt::format("a use of key {} with the thumbprint of key {}", key, state.key));
  }
  if (!kind.empty() && state.kind != kind) {
    verdict.broken(rules::key_of_other_kind, place(),
                   fmt::format("key {} of kind {}, expected kind {}", key, state.kind, kind));
  }
  // The key of the log signs on beside its successor for a time.
  const bool overlaps = state.state == "verifying" && state.kind == "ledger";
  if (state.state == "active" || overlaps || time <= state.since + settling_time) return;
  if (state.state == "retired") {
    verdict.broken(rules::key_retired, place(),
                   fmt::format("a use of key {}, which was retired {} s before", key, (time - state.since) / 1000));
  } else {
    verdict.broken(rules::key_not_active, place(), fmt::format("a use of key {}, which is {}", key, state.state));
  }
}

boost::json::object KeyHistory::saved() const {
  boost::json::object keys;
  for (const auto& [kid, state] : keys_) {
    keys[kid] = {{"key", state.key}, {"kind", state.kind}, {"since", state.since}, {"state", state.state}};
  }
  return keys;
}

Result<KeyHistory> KeyHistory::restored(const boost::json::object& saved) {
  KeyHistory history;
  for (const auto& [kid, value] : saved) {
    AVSEAL_TRY(auto reader, tokens::ObjectReader::open(value));
    AVSEAL_TRY(const auto key, reader.string("key"));
    AVSEAL_TRY(const auto kind, reader.string("kind"));
    AVSEAL_TRY(const auto since, reader.integer("since"));
    AVSEAL_TRY(const auto state, reader.string("state"));
    if (!is_time(since)) return saved_malformed("a key's time");
    history.keys_[std::string(kid)] = {std::string(key), std::string(kind), std::string(state), since};
  }
  return history;
}

}  // namespace avseal::audit
