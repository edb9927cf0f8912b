#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "tokens/result.hpp"

namespace avseal::service {

// Reads one TOML table whose members are all known. Errors are "configuration-invalid" and begin with file:line. Paths
// are taken from the directory of the file.
class TomlReader {
 public:
  TomlReader(const toml::table& table, const std::filesystem::path& file, std::string name)
      : table_(table), file_(file), name_(std::move(name)) {}

  Result<std::string> string(std::string_view key);
  Result<std::string> string_or(std::string_view key, std::string fallback);
  Result<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most);
  Result<std::int64_t> integer_or(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most);
  Result<bool> boolean_or(std::string_view key, bool fallback);
  Result<std::filesystem::path> path(std::string_view key);
  Result<std::filesystem::path> path_or(std::string_view key, std::filesystem::path fallback);
  Result<std::vector<std::string>> strings_or(std::string_view key, std::vector<std::string> fallback);
  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

  // Sub-tables; an absent one reads as empty. Elements of [[key]].
  Result<TomlReader> table(std::string_view key);
  Result<std::vector<TomlReader>> tables(std::string_view key);

  // The first member that nobody asked for is an error.
  Result<void> finish() const;
  [[nodiscard]] Error error_at(std::string_view key, std::string_view what) const;

 private:
  const toml::node* take(std::string_view key);
  [[nodiscard]] Error error(const toml::node& node, std::string_view key, std::string_view what) const;

  const toml::table& table_;
  const std::filesystem::path& file_;
  std::string name_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace avseal::service
