#include "audit/hsm_history.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "audit/rules.hpp"

namespace avseal::audit {

namespace {

constexpr std::size_t max_repeated = 64;  // entries that an HSM keeps
constexpr std::size_t max_named = 8;      // objects in a note
constexpr std::uint16_t no_object = 0xffff;

constexpr std::uint8_t sign_ecdsa = 0x56;
// Other commands that sign with a key, let it out wrapped, or make secrets with it.
constexpr std::array<std::uint8_t, 6> other_commands = {
    0x4a,  // export wrapped
    0x57,  // derive ECDH
    0x5d,  // sign SSH certificate
    0x64,  // sign attestation certificate
    0x74,  // get RSA-wrapped key
    0x76,  // export RSA-wrapped
};

bool succeeded(const HsmEntry& entry) {
  return entry.result == (entry.command | 0x80);
}

std::string place_of(const HsmKey& key) {
  return fmt::format("key {}, object 0x{:04x}", key.name, key.object);
}

KeyTotal total_of(const std::map<std::string, KeyTotal>& ledger, const std::string& key) {
  const auto found = ledger.find(key);
  return found == ledger.end() ? KeyTotal{} : found->second;
}

bool is_named(const std::vector<HsmKey>& keys, std::uint16_t object) {
  return std::any_of(keys.begin(), keys.end(), [object](const HsmKey& key) { return key.object == object; });
}

}  // namespace

void HsmHistory::broken(const std::string& name, std::string found) {
  whole_ = false;
  verdict_.broken(rules::hsm_log_broken, name, std::move(found));
}

void HsmHistory::take(const std::string& name, std::string_view text) {
  const auto outputs = parse_hsm_log(text);
  if (!outputs) {
    whole_ = false;
    return verdict_.broken(rules::hsm_log_malformed, name, outputs.error().detail);
  }
  for (const auto& output : *outputs) {
    if (output.unlogged_boots != 0 || output.unlogged_authentications != 0) {
      verdict_.broken(rules::hsm_log_full, name,
                      fmt::format("{} boots and {} authentications that were not logged", output.unlogged_boots,
                                  output.unlogged_authentications));
    }
    for (const auto& entry : output.entries) take(name, entry);
  }
}

void HsmHistory::take(const std::string& name, const HsmEntry& entry) {
  if (std::find(recent_.begin(), recent_.end(), entry) != recent_.end()) return;
  if (entry.begins_log()) {
    recent_.clear();
    ++logs_;
  } else if (recent_.empty()) {
    broken(name, fmt::format("it begins with entry {}", entry.number));
  } else if (const auto& last = recent_.back(); entry.hash != entry.hash_behind(last.hash)) {
    const bool next = entry.number == static_cast<std::uint16_t>(last.number + 1);
    broken(name,
           next ? fmt::format("entry {} has not the hash of what it says and of entry {}", entry.number, last.number)
                : fmt::format("entry {} behind entry {}", entry.number, last.number));
  }
  if (recent_.size() == max_repeated) recent_.pop_front();
  recent_.push_back(entry);
  ++entries_;
  if (succeeded(entry)) count(entry);
}

void HsmHistory::count(const HsmEntry& entry) {
  if (entry.command == sign_ecdsa) {
    ++objects_[entry.target].signatures;
  } else if (std::find(other_commands.begin(), other_commands.end(), entry.command) != other_commands.end()) {
    ++objects_[entry.target].other_uses[entry.command];
    if (entry.second != no_object && entry.second != entry.target) ++objects_[entry.second].other_uses[entry.command];
  }
}

std::vector<HsmCount> HsmHistory::compare(const std::vector<HsmKey>& keys, std::uint64_t tests,
                                          const std::map<std::string, KeyTotal>& ledger) {
  std::vector<HsmCount> counts;
  if (!whole_) return counts;
  std::uint64_t more = 0;
  std::uint64_t in_flight = 0;
  std::string where;
  for (const auto& key : keys) {
    const auto by_ledger = total_of(ledger, key.name);
    const auto& count = counts.emplace_back(HsmCount{key, objects_[key.object].signatures, by_ledger.signatures});
    if (count.in_hsm <= count.in_ledger) continue;
    more += count.in_hsm - count.in_ledger;
    in_flight += by_ledger.in_flight;
    where += fmt::format("{}{} of key {}", where.empty() ? "" : ", ", count.in_hsm - count.in_ledger, key.name);
  }
  tell_counts(counts);
  if (more > tests) {
    const auto excuse = in_flight == 0 ? std::string()
                                       : fmt::format(
                                             "; connections to workers that were lost with requests in flight "
                                             "account for {} of them at most",
                                             in_flight);
    verdict_.broken(rules::hsm_signatures_more, "the HSM's log",
                    fmt::format("{} signatures of which the ledger does not tell ({}), and {} test signatures are "
                                "accepted{}",
                                more, where, tests, excuse));
  }
  tell_other_uses(keys);
  tell_strangers(keys);
  return counts;
}

void HsmHistory::tell_counts(const std::vector<HsmCount>& counts) {
  for (const auto& [key, in_hsm, in_ledger] : counts) {
    const auto text = fmt::format("{} signatures, and the ledger tells of {}", in_hsm, in_ledger);
    if (in_hsm < in_ledger) {
      verdict_.broken(rules::hsm_signatures_missing, place_of(key), text);
    } else {
      verdict_.ok("hsm-signatures", place_of(key), text);
    }
  }
}

void HsmHistory::tell_other_uses(const std::vector<HsmKey>& keys) {
  for (const auto& key : keys) {
    std::string uses;
    for (const auto& [command, count] : objects_[key.object].other_uses) {
      uses += fmt::format("{}0x{:02x} ({} times)", uses.empty() ? "" : ", ", command, count);
    }
    if (uses.empty()) continue;
    verdict_.note("hsm-other-uses", place_of(key), fmt::format("commands {}", uses),
                  "ask the operator what for: they sign other things, or let the key out of the HSM wrapped");
  }
}

void HsmHistory::tell_strangers(const std::vector<HsmKey>& keys) {
  std::uint64_t signatures = 0;
  std::size_t objects = 0;
  std::string named;
  for (const auto& [object, uses] : objects_) {
    if (uses.signatures == 0 || is_named(keys, object)) continue;
    signatures += uses.signatures;
    if (++objects > max_named) continue;
    named += fmt::format("{}0x{:04x} ({})", objects == 1 ? "" : ", ", object, uses.signatures);
  }
  if (objects == 0) return;
  verdict_.note("hsm-objects-unnamed", "the HSM's log",
                fmt::format("{} signatures of {} objects that were not compared: {}{}", signatures, objects, named,
                            objects > max_named ? ", ..." : ""),
                "name each with --hsm-key if it is a key of this node");
}

}  // namespace avseal::audit
