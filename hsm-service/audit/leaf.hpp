// What a leaf of a log says (hsm-service/ledger/leaf.hpp has the members), read strictly.
#pragma once

#include <optional>
#include <vector>

#include <boost/json.hpp>

#include "audit/scanner.hpp"
#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::audit {

inline constexpr std::size_t max_leaf_size = 65535;

// Views into the leaf's bytes; texts as they stand between the quotes, empty where the member is missing.
struct LeafUse {
  std::string_view digest;
  std::string_view key;
  std::string_view kid;
  std::string_view outcome;
  std::uint64_t sequence = 0;
  std::string_view worker;
};

struct Leaf {
  std::string_view actor;
  std::string_view client;
  std::string_view details;  // a JSON object
  std::string_view event;
  std::string_view id;
  std::uint64_t index = 0;
  std::vector<LeafUse> uses;
  std::uint64_t uses_omitted = 0;
  std::string_view outcome;
  std::string_view reason;
  std::string_view request;
  std::string_view subjects;  // a JSON object
  std::int64_t time = 0;      // Unix milliseconds

  [[nodiscard]] bool released() const { return outcome == "released"; }
  [[nodiscard]] boost::json::object parsed_details() const;
};

// Fills `leaf`, whose memory is used again. Error "leaf-malformed" with the offset: not canonical JSON, a member that
// leaves do not have, or one of event, index, outcome and time missing.
Result<void> read_leaf(ByteView bytes, Leaf& leaf);

}  // namespace avseal::audit
