#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tokens/clock.hpp"
#include "tokens/impu.hpp"

namespace avseal::authorization {

// What a grant is asked for.
struct PolicyQuestion {
  tokens::Impu impu;
  std::string avatar_id;
  std::string application;
  std::string xr_as_id;
  UnixSeconds time = 0;
};

// A list that is absent matches everything; an empty list is an error in the file. `*` at the end of an avatar pattern
// matches any rest.
struct PolicyRule {
  std::string name;
  bool allow = false;
  std::optional<std::vector<std::string>> domains;  // hosts of SIP identities; "tel" for telephone numbers
  std::optional<std::vector<std::string>> avatars;
  std::optional<std::vector<std::string>> applications;
  std::optional<std::vector<std::string>> xr_as;
  std::optional<UnixSeconds> from;           // inclusive
  std::optional<UnixSeconds> until;          // exclusive
  std::optional<std::pair<int, int>> daily;  // minutes of the UTC day, [first, second); may wrap past midnight
  [[nodiscard]] bool matches(const PolicyQuestion& question) const;
};

// Who may be granted what: a matching deny refuses, else a matching allow grants, else refused.
class Policy {
 public:
  // TOML: version = 1 and [[rule]] tables (docs/operations.md). Errors carry file:line; reason "policy-unreadable".
  static Result<Policy> load(const std::filesystem::path& file);
  static Result<Policy> parse(std::string_view toml, std::string_view name);

  // Reasons "policy-denied" (names the rule) and "policy-no-rule".
  [[nodiscard]] Result<void> decide(const PolicyQuestion& question) const;
  [[nodiscard]] const std::vector<PolicyRule>& rules() const { return rules_; }

 private:
  std::vector<PolicyRule> rules_;
};

}  // namespace avseal::authorization
