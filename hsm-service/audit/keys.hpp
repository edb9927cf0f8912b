// Which keys the log says the node had, and when each might sign.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include <boost/json.hpp>

#include "audit/verdict.hpp"

namespace avseal::audit {

struct KeyState {
  std::string key;
  std::string kind;
  std::string state;       // "active", "verifying", "staged"; "retired": the node does not have it any more
  std::int64_t since = 0;  // time of the leaf that said so first; 0: the key never was in another state
};

class KeyHistory {
 public:
  // Details of a leaf keys.loaded: all keys that sign, at a start or a change. `midway`: keys that it names first may
  // have been in another state before.
  void loaded(const boost::json::object& details, bool midway, std::uint64_t leaf, std::int64_t time, Verdict& verdict);
  [[nodiscard]] bool knows_any() const { return !keys_.empty(); }
  // Stable; null: no leaf has named it yet.
  [[nodiscard]] const KeyState* find(std::string_view kid) const;

  [[nodiscard]] std::vector<std::string> names_of_kind(std::string_view kind) const;

  // A use of a key at that time or later; `kind`: what the leaf's event needs, empty if nothing.
  static void check(const KeyState& state, std::string_view key, std::string_view kind, std::uint64_t leaf,
                    std::int64_t time, Verdict& verdict);

  [[nodiscard]] boost::json::object saved() const;
  static Result<KeyHistory> restored(const boost::json::object& saved);

 private:
  std::unordered_map<std::string, KeyState> keys_;  // by kid
};

}  // namespace avseal::audit
