#include "tokend/profile.hpp"

#include <algorithm>

#include "configuration/toml_table.hpp"
#include "pkcs11/errors.hpp"

namespace avseal::tokend {

namespace {

using configuration::configuration_invalid;
using configuration::read_text;
using configuration::Table;

constexpr std::size_t max_strings = 32;

Result<std::vector<std::string>> read_strings(Table& table, std::string_view name) {
  AVSEAL_TRY(std::vector<std::string> strings, table.strings_or_none(name));
  if (strings.size() > max_strings) return table.error(name, "expected at most 32 strings");
  return strings;
}

Result<std::vector<CK_RV>> read_codes(Table& table, std::string_view name) {
  AVSEAL_TRY(const std::vector<std::string> texts, read_strings(table, name));
  std::vector<CK_RV> codes;
  for (const std::string& text : texts) {
    const auto code = pkcs11::parse_ckr(text);
    if (!code || *code == CKR_OK) return table.error(name, "\"" + text + "\" is no code that a call fails with");
    codes.push_back(*code);
  }
  return codes;
}

Result<pkcs11::Ecdsa> read_ecdsa(Table& table) {
  AVSEAL_TRY(const std::string text, table.string_or("ecdsa", "auto"));
  if (text == "auto") return pkcs11::Ecdsa::automatic;
  if (text == "raw") return pkcs11::Ecdsa::raw;
  if (text == "hashed") return pkcs11::Ecdsa::hashed;
  return table.error("ecdsa", "expected auto, raw or hashed");
}

Result<Quirks> read_quirks(const toml::table& source, const std::filesystem::path& file) {
  Table table(source, file);
  Quirks quirks;
  AVSEAL_TRY(quirks.read_only_sessions, table.boolean_or("read_only_sessions", quirks.read_only_sessions));
  AVSEAL_TRY(quirks.os_locking, table.boolean_or("os_locking", quirks.os_locking));
  AVSEAL_TRY(quirks.ecdsa, read_ecdsa(table));
  if (table.has("sessions")) {
    AVSEAL_TRY(const std::int64_t sessions, table.integer("sessions", 1, max_sessions));
    quirks.sessions = static_cast<unsigned>(sessions);
  }
  AVSEAL_TRY(const std::int64_t keepalive, table.integer_or("keepalive_seconds", quirks.keepalive.count(), 0, 3600));
  quirks.keepalive = std::chrono::seconds(keepalive);
  AVSEAL_TRY(quirks.busy_codes, read_codes(table, "busy_codes"));
  AVSEAL_TRY(quirks.session_lost_codes, read_codes(table, "session_lost_codes"));
  AVSEAL_TRY(quirks.device_lost_codes, read_codes(table, "device_lost_codes"));
  AVSEAL_CHECK(table.finish());
  return quirks;
}

Result<Profile> read_profile(const toml::table& source, const std::filesystem::path& file) {
  Table root(source, file);
  Profile profile;
  AVSEAL_TRY(profile.name, root.string("name"));
  if (!is_profile_name(profile.name)) return root.error("name", "expected at most 32 of a-z, 0-9 and '-'");
  if (file.filename() != profile.name + ".toml")
    return root.error("name", "the file must be " + profile.name + ".toml");
  AVSEAL_TRY(profile.title, root.string("title"));
  AVSEAL_TRY(profile.status, root.string("status"));
  if (profile.status != "verified" && profile.status != "from documentation, not verified") {
    return root.error("status", "expected \"verified\" or \"from documentation, not verified\"");
  }
  AVSEAL_TRY(profile.sources, read_strings(root, "sources"));
  if (profile.sources.empty()) return root.error("sources", "expected where its facts are from");
  AVSEAL_TRY(const std::vector<std::string> modules, read_strings(root, "modules"));
  for (const std::string& module : modules) {
    if (!std::filesystem::path(module).is_absolute()) return root.error("modules", "expected absolute paths");
    profile.modules.emplace_back(module);
  }
  AVSEAL_TRY(profile.guidance, read_strings(root, "guidance"));
  AVSEAL_TRY(profile.own_log, root.string_or("own_log", ""));
  if (!profile.own_log.empty() && profile.own_log != "yubihsm-shell") {
    return root.error("own_log", "expected \"yubihsm-shell\"");
  }
  AVSEAL_TRY(const toml::table* const quirks, root.table_or_none("quirks"));
  if (quirks != nullptr) {
    AVSEAL_TRY(profile.quirks, read_quirks(*quirks, file));
  }
  AVSEAL_CHECK(root.finish());
  return profile;
}

}  // namespace

bool is_profile_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<Profile> parse_profile(std::string_view text, const std::filesystem::path& file) {
  try {
    const toml::table table = toml::parse(text, file.string());
    return read_profile(table, file);
  } catch (const toml::parse_error& error) {
    return configuration_invalid(file, error.source().begin.line, error.description());
  }
}

Result<Profile> load_profile(const std::filesystem::path& directory, std::string_view name) {
  const std::filesystem::path file = directory / (std::string(name) + ".toml");
  AVSEAL_TRY(const std::string text, read_text(file));
  return parse_profile(text, file);
}

}  // namespace avseal::tokend
