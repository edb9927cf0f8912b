#include "tokend/config.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "configuration/toml_table.hpp"

namespace avseal::tokend {

namespace {

using configuration::configuration_invalid;
using configuration::read_text;
using configuration::Table;
using pkcs11::KeyKind;

constexpr std::size_t max_keys = 64;

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
      return configuration_invalid(file, element.source().begin.line,
                                   fmt::format("name: two keys are named \"{}\"", key.name));
    }
    config.keys.push_back(std::move(key));
  }
  return {};
}

Result<void> read_socket(Table& root, const std::filesystem::path& file, Config& config) {
  AVSEAL_TRY(const toml::table* const source, root.table_or_none("socket"));
  if (source == nullptr) return {};
  Table table(*source, file);
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

Result<void> read_profile_name(Table& root, Config& config) {
  if (root.has("profile")) {
    AVSEAL_TRY(config.profile, root.string("profile"));
    if (!is_profile_name(config.profile)) return root.error("profile", "expected a name like softhsm2");
  }
  if (root.has("profile_directory")) {
    AVSEAL_TRY(config.profile_directory, root.path("profile_directory"));
  }
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
  if (root.has("sessions")) {
    AVSEAL_TRY(const std::int64_t sessions, root.integer("sessions", 1, max_sessions));
    config.sessions = static_cast<unsigned>(sessions);
  }
  AVSEAL_CHECK(read_profile_name(root, config));
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
    return configuration_invalid(file, error.source().begin.line, error.description());
  }
}

Result<Config> load_config(const std::filesystem::path& file) {
  AVSEAL_TRY(const std::string text, read_text(file));
  AVSEAL_TRY(Config config, parse_config(text, file));
  if (std::error_code ignored; !std::filesystem::is_directory(config.state_directory, ignored)) {
    return configuration_invalid(file, 1,
                                 fmt::format("state_directory: {} is no directory", config.state_directory.string()));
  }
  if (!config.profile.empty()) {
    AVSEAL_TRY(Profile profile, load_profile(config.profile_directory, config.profile));
    config.quirks = std::move(profile.quirks);
  }
  return config;
}

}  // namespace avseal::tokend
