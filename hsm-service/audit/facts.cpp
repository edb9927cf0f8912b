#include "audit/facts.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "audit/rules.hpp"

namespace avseal::audit {

namespace {

// What nothing of is released without a signature, and the kind of key that makes it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> signing_events{{
    {"grant.access-token", "access-token"},
    {"issue.crl", "ue-ca"},
    {"issue.ue-certificate", "ue-ca"},
    {"ledger.export", "ledger"},
    {"sign.avatar-id", "avatar-id"},
    {"sign.avatar-metadata", "avatar-metadata"},
    {"sign.div", "avatar-id"},
    {"sign.shaken", "avatar-id"},
}};

constexpr std::array<std::string_view, 6> acts{"keys.loaded", "ledger.checkpoints", "ledger.start",
                                               "ledger.stop", "worker.connected",   "worker.lost"};

std::string_view kind_for(const Leaf& leaf) {
  if (!leaf.released()) return {};
  const auto found = std::find_if(signing_events.begin(), signing_events.end(),
                                  [&](const auto& event) { return event.first == leaf.event; });
  return found == signing_events.end() ? std::string_view() : found->second;
}

bool is_act(std::string_view event) {
  return std::find(acts.begin(), acts.end(), event) != acts.end();
}

std::uint32_t user_of(const LeafUse& use, std::string_view kind, std::vector<Facts::User>& users) {
  const auto same = [&](const Facts::User& user) {
    return user.kid == use.kid && user.worker == use.worker && user.kind == kind && user.key == use.key;
  };
  const auto found = std::find_if(users.begin(), users.end(), same);
  const auto index = static_cast<std::uint32_t>(found - users.begin());
  if (found == users.end()) {
    users.push_back({unescaped(use.worker), unescaped(use.key), std::string(use.kid), kind});
  }
  return index;
}

void add(const Leaf& leaf, std::uint32_t offset, Facts& facts) {
  const auto place = [&] { return fmt::format("leaf {}", facts.first + offset); };
  if (leaf.index != facts.first + offset) {
    facts.breaches.push_back({&rules::index_wrong, place(), fmt::format("it says that it is leaf {}", leaf.index)});
  }
  const auto kind = kind_for(leaf);
  bool is_signed = false;
  for (const auto& use : leaf.uses) {
    const bool signs = use.outcome == "signed";
    is_signed = is_signed || signs;
    const auto user = user_of(use, signs ? kind : std::string_view(), facts.users);
    facts.uses.push_back({user, offset, use.sequence});
  }
  if (!kind.empty() && !is_signed) {
    facts.breaches.push_back(
        {&rules::signature_missing, place(), fmt::format("{} released, and no key signed", leaf.event)});
  }
  if (leaf.uses_omitted != 0) {
    facts.breaches.push_back({&rules::uses_omitted, place(), fmt::format("{} uses were left out", leaf.uses_omitted)});
  }
  if (is_act(leaf.event)) facts.acts.push_back({offset, std::string(leaf.event), leaf.parsed_details()});
}

}  // namespace

Facts facts_of(std::span<const ByteView> leaves, std::uint64_t first, Leaf& leaf) {
  Facts facts;
  facts.first = first;
  facts.times.reserve(leaves.size());
  for (const auto bytes : leaves) {
    const auto offset = static_cast<std::uint32_t>(facts.times.size());
    if (const auto read = read_leaf(bytes, leaf); read) {
      add(leaf, offset, facts);
      facts.times.push_back(leaf.time);
    } else {
      facts.breaches.push_back({&rules::leaf_malformed, fmt::format("leaf {}", first + offset), read.error().detail});
      facts.times.push_back(facts.times.empty() ? 0 : facts.times.back());
    }
  }
  return facts;
}

}  // namespace avseal::audit
