#include "configuration/toml_table.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

namespace avseal::configuration {

namespace {

constexpr std::size_t max_file = 256 * 1024;

}  // namespace

Error configuration_invalid(const std::filesystem::path& file, toml::source_index line, std::string_view what) {
  return errors::make(Category::invalid, "configuration-invalid",
                      fmt::format("{}:{}: {}", file.string(), std::max<toml::source_index>(line, 1), what));
}

Result<std::string> read_text(const std::filesystem::path& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text(max_file + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || in.gcount() == 0) {
    return configuration_invalid(file, 1, errno == 0 ? "the file is empty" : std::strerror(errno));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_file) return configuration_invalid(file, 1, "the file is larger than 256 KiB");
  return text;
}

Error Table::error(std::string_view name, std::string_view what) const {
  const toml::node* node = table_.get(name);
  const auto line = (node == nullptr ? table_.source() : node->source()).begin.line;
  return configuration_invalid(file_, line, fmt::format("{}: {}", name, what));
}

Result<std::string> Table::string(std::string_view name) {
  const auto value = take(name) == nullptr ? std::nullopt : take(name)->value_exact<std::string>();
  if (!value || value->empty() || value->find('\0') != std::string::npos) return error(name, "expected a string");
  return *value;
}

Result<std::string> Table::string_or(std::string_view name, std::string fallback) {
  if (!has(name)) return fallback;
  return string(name);
}

Result<std::int64_t> Table::integer(std::string_view name, std::int64_t least, std::int64_t most) {
  const auto value = take(name) == nullptr ? std::nullopt : take(name)->value_exact<std::int64_t>();
  if (!value || *value < least || *value > most) {
    return error(name, fmt::format("expected an integer from {} to {}", least, most));
  }
  return *value;
}

Result<std::int64_t> Table::integer_or(std::string_view name, std::int64_t fallback, std::int64_t least,
                                       std::int64_t most) {
  if (!has(name)) return fallback;
  return integer(name, least, most);
}

Result<bool> Table::boolean_or(std::string_view name, bool fallback) {
  if (!has(name)) return fallback;
  const auto value = take(name)->value_exact<bool>();
  if (!value) return error(name, "expected true or false");
  return *value;
}

Result<std::filesystem::path> Table::path(std::string_view name) {
  AVSEAL_TRY(const std::string text, string(name));
  return file_.parent_path() / text;
}

Result<std::vector<std::string>> Table::strings_or_none(std::string_view name) {
  std::vector<std::string> values;
  const toml::node* node = take(name);
  if (node == nullptr) return values;
  if (!node->is_array()) return error(name, "expected a list of strings");
  for (const toml::node& element : *node->as_array()) {
    const auto value = element.value_exact<std::string>();
    if (!value || value->empty()) return error(name, "expected a list of strings");
    values.push_back(*value);
  }
  return values;
}

Result<const toml::table*> Table::table_or_none(std::string_view name) {
  const toml::node* node = take(name);
  if (node != nullptr && !node->is_table()) return error(name, fmt::format("expected a table [{}]", name));
  return node == nullptr ? nullptr : node->as_table();
}

const toml::node* Table::take(std::string_view name) {
  taken_.emplace(name);
  return table_.get(name);
}

Result<void> Table::finish() const {
  for (const auto& [name, node] : table_) {
    if (!taken_.contains(std::string(name.str()))) return error(name.str(), "is not known here");
  }
  return {};
}

}  // namespace avseal::configuration
