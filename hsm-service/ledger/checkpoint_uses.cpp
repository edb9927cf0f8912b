#include "ledger/checkpoint_uses.hpp"

#include "ledger/errors.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger {

namespace {

namespace json = boost::json;

Error malformed() {
  return errors::head("the uses of the ledger key that are remembered with the head are not in their form");
}

const json::string* text_of(const json::object& entry, std::string_view name) {
  const auto* member = entry.if_contains(name);
  return member == nullptr ? nullptr : member->if_string();
}

}  // namespace

Result<CheckpointUses> CheckpointUses::parse(std::string_view text) {
  CheckpointUses uses;
  if (text.empty()) return uses;
  const auto value = tokens::parse_json(text);
  if (!value || !value->is_array()) return malformed();
  for (const auto& item : value->get_array()) {
    if (!item.is_object()) return malformed();
    const auto& entry = item.get_object();
    const auto* worker = text_of(entry, "worker");
    const auto* key = text_of(entry, "key");
    const auto* kid = text_of(entry, "kid");
    const auto* sequences = entry.if_contains("sequences");
    if (worker == nullptr || key == nullptr || kid == nullptr || sequences == nullptr || !sequences->is_array()) {
      return malformed();
    }
    auto& runs = uses.runs_[{std::string(*worker), std::string(*key), std::string(*kid)}];
    for (const auto& run : sequences->get_array()) {
      const auto* ends = run.if_array();
      if (ends == nullptr || ends->size() != 2 || !ends->front().is_int64() || !ends->back().is_int64()) {
        return malformed();
      }
      runs.push_back({static_cast<std::uint64_t>(ends->front().get_int64()),
                      static_cast<std::uint64_t>(ends->back().get_int64())});
    }
  }
  return uses;
}

void CheckpointUses::add(const KeyUse& use) {
  auto& runs = runs_[{use.worker, use.key, use.kid}];
  if (!runs.empty() && runs.back().last + 1 == use.sequence) {
    runs.back().last = use.sequence;
  } else {
    runs.push_back({use.sequence, use.sequence});
  }
}

std::size_t CheckpointUses::runs() const {
  std::size_t count = 0;
  for (const auto& [key, runs] : runs_) count += runs.size();
  return count;
}

json::array CheckpointUses::json() const {
  json::array uses;
  for (const auto& [key, runs] : runs_) {
    json::array sequences;
    for (const auto& run : runs) sequences.push_back(json::array{run.first, run.last});
    uses.push_back(json::object{{"key", std::get<1>(key)},
                                {"kid", std::get<2>(key)},
                                {"sequences", std::move(sequences)},
                                {"worker", std::get<0>(key)}});
  }
  return uses;
}

std::string CheckpointUses::text() const {
  return empty() ? std::string() : tokens::canonical_json(json());
}

}  // namespace avseal::ledger
