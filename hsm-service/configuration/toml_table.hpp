#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "tokens/result.hpp"

namespace avseal::configuration {

// Reason "configuration-invalid"; the detail begins with file:line.
Error configuration_invalid(const std::filesystem::path& file, toml::source_index line, std::string_view what);

// The text of a configuration file, at most 256 KiB. Reason "configuration-invalid".
Result<std::string> read_text(const std::filesystem::path& file);

// One table of a TOML file, whose members must all be known in the end: finish() refuses those that were not taken.
class Table {
 public:
  Table(const toml::table& table, const std::filesystem::path& file) : table_(table), file_(file) {}

  [[nodiscard]] bool has(std::string_view name) const { return table_.contains(name); }
  [[nodiscard]] Error error(std::string_view name, std::string_view what) const;  // at the member's line

  Result<std::string> string(std::string_view name);
  Result<std::string> string_or(std::string_view name, std::string fallback);
  Result<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most);
  Result<std::int64_t> integer_or(std::string_view name, std::int64_t fallback, std::int64_t least, std::int64_t most);
  Result<bool> boolean_or(std::string_view name, bool fallback);
  Result<std::filesystem::path> path(std::string_view name);  // relative to the file
  Result<std::vector<std::string>> strings_or_none(std::string_view name);
  Result<const toml::table*> table_or_none(std::string_view name);  // null: not there
  const toml::node* take(std::string_view name);                    // null: not there
  [[nodiscard]] Result<void> finish() const;

 private:
  const toml::table& table_;
  const std::filesystem::path& file_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace avseal::configuration
