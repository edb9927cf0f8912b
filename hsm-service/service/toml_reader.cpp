#include "service/toml_reader.hpp"

#include <fmt/format.h>

namespace avseal::service {
namespace {

const toml::table empty_table;

}  // namespace

const toml::node* TomlReader::take(std::string_view key) {
  taken_.emplace(key);
  return table_.get(key);
}

Error TomlReader::error(const toml::node& node, std::string_view key, std::string_view what) const {
  const auto line = node.source().begin.line;
  return errors::make(Category::internal, "configuration-invalid",
                      fmt::format("{}:{}: {}.{}: {}", file_.string(), line, name_, key, what));
}

Error TomlReader::error_at(std::string_view key, std::string_view what) const {
  const auto* node = table_.get(key);
  return error(node != nullptr ? *node : static_cast<const toml::node&>(table_), key, what);
}

Result<std::string> TomlReader::string(std::string_view key) {
  const auto* node = take(key);
  if (node == nullptr) return error_at(key, "expected a string, found nothing");
  const auto value = node->value_exact<std::string>();
  if (!value || value->empty()) return error(*node, key, "expected a non-empty string");
  return *value;
}

Result<std::string> TomlReader::string_or(std::string_view key, std::string fallback) {
  if (!has(key)) return take(key), Result<std::string>(std::move(fallback));
  return string(key);
}

Result<std::int64_t> TomlReader::integer(std::string_view key, std::int64_t least, std::int64_t most) {
  const auto* node = take(key);
  if (node == nullptr) return error_at(key, "expected an integer, found nothing");
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < least || *value > most) {
    return error(*node, key, fmt::format("expected an integer from {} to {}", least, most));
  }
  return *value;
}

Result<std::int64_t> TomlReader::integer_or(std::string_view key, std::int64_t fallback, std::int64_t least,
                                            std::int64_t most) {
  if (!has(key)) return take(key), Result<std::int64_t>(fallback);
  return integer(key, least, most);
}

Result<bool> TomlReader::boolean_or(std::string_view key, bool fallback) {
  const auto* node = take(key);
  if (node == nullptr) return fallback;
  const auto value = node->value_exact<bool>();
  if (!value) return error(*node, key, "expected true or false");
  return *value;
}

Result<std::filesystem::path> TomlReader::path(std::string_view key) {
  AVSEAL_TRY(const auto text, string(key));
  return file_.parent_path() / text;
}

Result<std::filesystem::path> TomlReader::path_or(std::string_view key, std::filesystem::path fallback) {
  if (!has(key)) return take(key), Result<std::filesystem::path>(std::move(fallback));
  return path(key);
}

Result<std::vector<std::string>> TomlReader::strings_or(std::string_view key, std::vector<std::string> fallback) {
  const auto* node = take(key);
  if (node == nullptr) return fallback;
  const auto* array = node->as_array();
  if (array == nullptr) return error(*node, key, "expected a list of strings");
  std::vector<std::string> out;
  for (const auto& element : *array) {
    const auto value = element.value_exact<std::string>();
    if (!value || value->empty()) return error(element, key, "expected a list of non-empty strings");
    out.push_back(*value);
  }
  return out;
}

Result<TomlReader> TomlReader::table(std::string_view key) {
  const auto* node = take(key);
  if (node == nullptr) return TomlReader(empty_table, file_, std::string(key));
  const auto* table = node->as_table();
  if (table == nullptr) return error(*node, key, fmt::format("expected a table [{}]", key));
  return TomlReader(*table, file_, std::string(key));
}

Result<std::vector<TomlReader>> TomlReader::tables(std::string_view key) {
  const auto* node = take(key);
  std::vector<TomlReader> out;
  if (node == nullptr) return out;
  const auto* array = node->as_array();
  if (array == nullptr) return error(*node, key, fmt::format("expected tables [[{}]]", key));
  for (const auto& element : *array) {
    const auto* table = element.as_table();
    if (table == nullptr) return error(element, key, fmt::format("expected tables [[{}]]", key));
    out.emplace_back(*table, file_, std::string(key));
  }
  return out;
}

Result<void> TomlReader::finish() const {
  for (const auto& [key, value] : table_) {
    if (!taken_.contains(key.str())) return error(value, key.str(), "is not a known member here");
  }
  return {};
}

}  // namespace avseal::service
