#include "tokend/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace avseal::tokend {

namespace {

using pkcs11::KeyKind;

constexpr std::size_t max_file = 256 * 1024;
constexpr std::size_t max_keys = 64;

Error invalid(const std::filesystem::path& file, toml::source_index line, std::string_view what) {
  return errors::make(Category::invalid, "configuration-invalid",
                      fmt::format("{}:{}: {}", file.string(), std::max<toml::source_index>(line, 1), what));
}

// One table whose members are all known in the end.
class Table {
 public:
  Table(const toml::table& table, const std::filesystem::path& file) : table_(table), file_(file) {}

  [[nodiscard]] bool has(std::string_view name) const { return table_.contains(name); }
  [[nodiscard]] Error error(std::string_view name, std::string_view what) const {
    const toml::node* node = table_.get(name);
    const auto line = (node == nullptr ? table_.source() : node->source()).begin.line;
    return invalid(file_, line, fmt::format("{}: {}", name, what));
  }

  Result<std::string> string(std::string_view name) {
    const auto value = take(name) == nullptr ? std::nullopt : take(name)->value_exact<std::string>();
    if (!value || value->empty() || value->find('\0') != std::string::npos) return error(name, "expected a string");
    return *value;
  }

  Result<std::string> string_or(std::string_view name, std::string fallback) {
    if (!has(name)) return fallback;
    return string(name);
  }

  Result<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most) {
    const auto value = take(name) == nullptr ? std::nullopt : take(name)->value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) {
      return error(name, fmt::format("expected an integer from {} to {}", least, most));
    }
    return *value;
  }

  Result<std::int64_t> integer_or(std::string_view name, std::int64_t fallback, std::int64_t least, std::int64_t most) {
    if (!has(name)) return fallback;
    return integer(name, least, most);
  }

  Result<std::filesystem::path> path(std::string_view name) {
    AVSEAL_TRY(const std::string text, string(name));
    return file_.parent_path() / text;
  }

  Result<std::vector<std::string>> strings_or_none(std::string_view name) {
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

  const toml::node* take(std::string_view name) {
    taken_.emplace(name);
    return table_.get(name);
  }

  Result<void> finish() const {
    for (const auto& [name, node] : table_) {
      if (!taken_.contains(std::string(name.str()))) return error(name.str(), "is not known here");
    }
    return {};
  }

 private:
  const toml::table& table_;
  const std::filesystem::path& file_;
  std::set<std::string, std::less<>> taken_;
};

// The error of a value's own parser, at the value's line.
Error at(const Table& table, std::string_view name, const Error& error) {
  return table.error(name, error.detail);
}

Result<void> read_kind_members(Table& table, KeyConfig& key) {
  if (key.kind == KeyKind::ue_ca) {
    AVSEAL_TRY(key.issuer_certificate, table.path("issuer_certificate"));
    AVSEAL_TRY(key.max_validity_days, table.integer("max_validity_days", 1, 825));
  }
  if (key.kind == KeyKind::ledger) {
    AVSEAL_TRY(key.origin, table.string("origin"));
    const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
    if (key.origin.size() > 255 || !std::all_of(key.origin.begin(), key.origin.end(), printable)) {
      return table.error("origin", "expected at most 255 printable characters without spaces");
    }
  }
  return {};
}

Result<KeyConfig> read_key(const toml::table& source, const std::filesystem::path& file) {
  Table table(source, file);
  KeyConfig key;
  AVSEAL_TRY(key.name, table.string("name"));
  const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
  if (key.name.size() > 64 || !std::all_of(key.name.begin(), key.name.end(), printable)) {
    return table.error("name", "expected at most 64 printable characters without spaces");
  }
  AVSEAL_TRY(const std::string kind, table.string("kind"));
  const auto parsed_kind = pkcs11::parse_key_kind(kind);
  if (!parsed_kind) return at(table, "kind", parsed_kind.error());
  key.kind = *parsed_kind;
  AVSEAL_TRY(const std::string uri, table.string("uri"));
  auto parsed_uri = pkcs11::Uri::parse_key(uri);
  if (!parsed_uri) return at(table, "uri", parsed_uri.error());
  key.uri = std::move(*parsed_uri);
  AVSEAL_TRY(const std::int64_t max_rate, table.integer_or("max_rate", 0, 0, 1'000'000));
  key.max_rate = static_cast<unsigned>(max_rate);
  AVSEAL_CHECK(read_kind_members(table, key));
  AVSEAL_CHECK(table.finish());
  return key;
}

Result<void> read_keys(Table& root, const std::filesystem::path& file, Config& config) {
  const toml::node* node = root.take("keys");
  if (node == nullptr || !node->is_array_of_tables()) return root.error("keys", "expected one or more [[keys]]");
  if (node->as_array()->size() > max_keys) return root.error("keys", fmt::format("expected at most {}", max_keys));
  for (const toml::node& element : *node->as_array()) {
    AVSEAL_TRY(KeyConfig key, read_key(*element.as_table(), file));
    const auto same = [&key](const KeyConfig& other) { return other.name == key.name; };
    if (std::any_of(config.keys.begin(), config.keys.end(), same)) {
      return invalid(file, element.source().begin.line, fmt::format("name: two keys are named \"{}\"", key.name));
    }
    config.keys.push_back(std::move(key));
  }
  return {};
}

Result<void> read_socket(Table& root, const std::filesystem::path& file, Config& config) {
  const toml::node* node = root.take("socket");
  if (node == nullptr) return {};
  if (!node->is_table()) return root.error("socket", "expected a table [socket]");
  Table table(*node->as_table(), file);
  AVSEAL_TRY(config.socket_group, table.string_or("group", {}));
  AVSEAL_TRY(config.allow_users, table.strings_or_none("allow_users"));
  AVSEAL_TRY(config.allow_groups, table.strings_or_none("allow_groups"));
  return table.finish();
}

Result<void> read_pin_source(Table& root, Config& config) {
  if (root.has("pin_file") == root.has("pin_credential")) {
    return root.error(root.has("pin_file") ? "pin_file" : "token",
                      "expected exactly one of pin_file and pin_credential");
  }
  if (root.has("pin_file")) {
    AVSEAL_TRY(config.pin_file, root.path("pin_file"));
    return {};
  }
  AVSEAL_TRY(config.pin_credential, root.string("pin_credential"));
  return {};
}

Result<void> read_state_directory(Table& root, Config& config) {
  if (root.has("state_directory")) {
    AVSEAL_TRY(config.state_directory, root.path("state_directory"));
    return {};
  }
  const char* given = std::getenv("STATE_DIRECTORY");
  if (given == nullptr || *given == '\0') {
    return root.error("state_directory", "expected a directory, for there is no STATE_DIRECTORY of systemd either");
  }
  config.state_directory = given;
  return {};
}

Result<Config> read_config(const toml::table& source, const std::filesystem::path& file) {
  Table root(source, file);
  Config config;
  AVSEAL_TRY(const std::string module, root.string("module"));
  config.module = module;
  if (!config.module.is_absolute()) return root.error("module", "expected an absolute path");
  AVSEAL_TRY(const std::string token, root.string("token"));
  auto uri = pkcs11::Uri::parse_token(token);
  if (!uri) return at(root, "token", uri.error());
  config.token = std::move(*uri);
  AVSEAL_CHECK(read_pin_source(root, config));
  AVSEAL_CHECK(read_state_directory(root, config));
  AVSEAL_TRY(const std::int64_t sessions, root.integer_or("sessions", config.sessions, 1, 64));
  config.sessions = static_cast<unsigned>(sessions);
  AVSEAL_TRY(const std::int64_t limit, root.integer_or("call_limit_ms", config.call_limit.count(), 100, 600'000));
  config.call_limit = std::chrono::milliseconds(limit);
  AVSEAL_TRY(config.log_level, root.string_or("log_level", config.log_level));
  const std::set<std::string_view> levels = {"debug", "info", "warning", "error"};
  if (!levels.contains(config.log_level)) return root.error("log_level", "expected debug, info, warning or error");
  AVSEAL_CHECK(read_socket(root, file, config));
  AVSEAL_CHECK(read_keys(root, file, config));
  AVSEAL_CHECK(root.finish());
  return config;
}

}  // namespace

Result<Config> parse_config(std::string_view text, const std::filesystem::path& file) {
  try {
    const toml::table table = toml::parse(text, file.string());
    return read_config(table, file);
  } catch (const toml::parse_error& error) {
    return invalid(file, error.source().begin.line, error.description());
  }
}

Result<Config> load_config(const std::filesystem::path& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text(max_file + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || in.gcount() == 0) {
    return invalid(file, 1, errno == 0 ? "the file is empty" : std::strerror(errno));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_file) return invalid(file, 1, "the file is larger than 256 KiB");
  AVSEAL_TRY(Config config, parse_config(text, file));
  if (std::error_code ignored; !std::filesystem::is_directory(config.state_directory, ignored)) {
    return invalid(file, 1, fmt::format("state_directory: {} is no directory", config.state_directory.string()));
  }
  return config;
}

}  // namespace avseal::tokend
