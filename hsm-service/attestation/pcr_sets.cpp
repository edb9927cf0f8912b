#include "attestation/pcr_sets.hpp"

#include <algorithm>
#include <charconv>

#include "attestation/documents.hpp"
#include "tokens/base64.hpp"
#include "tokens/json.hpp"

namespace avseal::attestation {

namespace {

namespace json = tokens::json;
using tokens::ObjectReader;

constexpr std::size_t max_sets = 1000;
constexpr std::size_t max_name = 64;

Error malformed(std::string detail, std::string pointer) {
  return errors::make(Category::invalid, "pcr-sets-malformed", std::move(detail), std::move(pointer));
}

Result<PcrSet> read_set(const json::value& value, const std::string& pointer) {
  AVSEAL_TRY(auto reader, ObjectReader::open(value, pointer));
  PcrSet set;
  AVSEAL_TRY(set.name, reader.string("name"));
  if (set.name.empty() || set.name.size() > max_name) return malformed("expected 1 to 64 bytes", pointer + "/name");
  AVSEAL_TRY(const std::string_view bank, reader.string("bank"));
  if (bank != "sha256") return malformed("expected \"sha256\", the only bank that counts", pointer + "/bank");
  AVSEAL_TRY(const auto pcrs, reader.object("pcrs"));
  AVSEAL_CHECK(reader.finish());
  for (const auto& [name, digest] : pcrs.raw()) {
    const std::string_view key(name);
    const auto index = parse_pcr_index(key);
    const auto bytes = digest.is_string() ? parse_pcr_value(digest.get_string()) : std::nullopt;
    if (!index || !bytes) return malformed("expected a PCR from 0 to 23 with 64 hex digits", pcrs.pointer_to(key));
    set.pcrs.emplace(*index, *bytes);
  }
  if (set.pcrs.empty()) return malformed("expected at least one PCR", pointer + "/pcrs");
  return set;
}

}  // namespace

std::optional<unsigned> parse_pcr_index(std::string_view text) {
  constexpr unsigned pcr_count = 24;
  unsigned index = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool canonical =
      failure == std::errc() && end == text.data() + text.size() && (text.size() == 1 || text[0] != '0');
  return canonical && index < pcr_count ? std::optional(index) : std::nullopt;
}

std::optional<tokens::Sha256> parse_pcr_value(std::string_view hex) {
  const auto bytes = tokens::hex_decode(hex);
  tokens::Sha256 value{};
  if (!bytes || bytes->size() != value.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), value.begin());
  return value;
}

Result<PcrSets> PcrSets::parse(std::string_view document) {
  AVSEAL_TRY(const json::value value, tokens::parse_json(document, {.size = document_max_size}));
  AVSEAL_TRY(auto root, ObjectReader::open(value));
  AVSEAL_TRY(const std::string_view kind, root.string("kind"));
  if (kind != "pcr-sets") return malformed("expected \"pcr-sets\"", "/kind");
  PcrSets result;
  AVSEAL_TRY(result.version, root.integer("version"));
  if (result.version < 1) return malformed("expected a version of 1 or more", "/version");
  AVSEAL_TRY(const json::array* sets, root.array("sets"));
  AVSEAL_CHECK(root.finish());
  if (sets->empty() || sets->size() > max_sets) return malformed("expected 1 to 1000 sets", "/sets");
  for (std::size_t i = 0; i < sets->size(); ++i) {
    AVSEAL_TRY(PcrSet set, read_set((*sets)[i], "/sets/" + std::to_string(i)));
    result.sets.push_back(std::move(set));
  }
  return result;
}

const PcrSet* PcrSets::find(const PcrValues& values) const {
  const auto has_all = [&](const PcrSet& set) {
    return std::all_of(values.begin(), values.end(), [&](const auto& value) {
      const auto golden = set.pcrs.find(value.first);
      return golden != set.pcrs.end() && golden->second == value.second;
    });
  };
  const auto found = std::find_if(sets.begin(), sets.end(), has_all);
  return found == sets.end() ? nullptr : &*found;
}

}  // namespace avseal::attestation
