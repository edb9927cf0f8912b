#include "ledger/checkpoint_uses.hpp"

#include "ledger/errors.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger {

namespace {

namespace json = boost::json;

Error malformed() {
  return errors::head("the uses of the ledger key that are remembered with the head are not in their form");
}

using Ends = std::pair<std::uint64_t, std::uint64_t>;

// [first, last], from 1.
std::optional<Ends> ends_of(const json::value& run) {
  const auto* ends = run.if_array();
  if (ends == nullptr || ends->size() != 2 || !ends->front().is_int64() || !ends->back().is_int64()) {
    return std::nullopt;
  }
  const auto first = ends->front().get_int64();
  const auto last = ends->back().get_int64();
  if (first < 1 || last < first) return std::nullopt;
  return Ends{static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last)};
}

}  // namespace

Result<CheckpointUses> CheckpointUses::parse(std::string_view text) {
  CheckpointUses uses;
  if (text.empty()) return uses;
  const auto value = tokens::parse_json(text);
  const auto* entries = value ? value->if_array() : nullptr;
  if (entries == nullptr) return malformed();
  for (const auto& item : *entries) {
    auto entry = tokens::ObjectReader::open(item);
    if (!entry) return malformed();
    const auto worker = entry->string("worker");
    const auto key = entry->string("key");
    const auto kid = entry->string("kid");
    const auto sequences = entry->array("sequences");
    if (!worker || !key || !kid || !sequences) return malformed();
    auto& runs = uses.runs_[{std::string(*worker), std::string(*key), std::string(*kid)}];
    for (const auto& run : **sequences) {
      const auto ends = ends_of(run);
      if (!ends) return malformed();
      runs.push_back({ends->first, ends->second});
    }
  }
  if (uses.text() != text) return malformed();  // members in excess, another spelling
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
