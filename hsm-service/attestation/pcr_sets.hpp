// Golden PCR values. Several sets hold at once, as during an update.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tokens/digest.hpp"
#include "tokens/result.hpp"

namespace avseal::attestation {

using PcrValues = std::map<unsigned, tokens::Sha256>;                 // of the SHA-256 bank
std::optional<unsigned> parse_pcr_index(std::string_view text);       // "0" to "23"
std::optional<tokens::Sha256> parse_pcr_value(std::string_view hex);  // 64 hex digits

struct PcrSet {
  std::string name;
  PcrValues pcrs;
};

//   {"kind": "pcr-sets", "version": 4, "sets": [{"name": "fw-2.1", "bank": "sha256", "pcrs": {"0": "<64 hex>", ..}}]}
struct PcrSets {
  std::int64_t version = 0;
  std::vector<PcrSet> sets;

  // Reason "pcr-sets-malformed", with the JSON pointer.
  static Result<PcrSets> parse(std::string_view document);
  // The set that has all of these values, or null.
  [[nodiscard]] const PcrSet* find(const PcrValues& values) const;
};

}  // namespace avseal::attestation
