#include "cli/hsm_log_input.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "cli/object_input.hpp"
#include "tokend/profile.hpp"

namespace avseal::cli {
namespace {

Error invalid(std::string detail) {
  return errors::make(Category::invalid, "option-invalid", std::move(detail));
}

Result<audit::HsmKey> read_key(const std::string& text) {
  constexpr std::string_view mark = "=0x";
  audit::HsmKey key;
  const auto at = text.rfind(mark);
  const auto* const end = text.data() + text.size();
  const auto* const id = at == std::string::npos ? end : text.data() + at + mark.size();
  const auto [read, failed] = std::from_chars(id, end, key.object, 16);
  if (at == 0 || failed != std::errc() || read != end) {
    return invalid(
        fmt::format("--hsm-key: expected NAME=0xID, the ledger's name of a key and the HSM's id of the "
                    "object, found \"{}\"",
                    text));
  }
  key.name = text.substr(0, at);
  return key;
}

Result<std::vector<audit::HsmKey>> read_keys(const std::vector<std::string>& texts) {
  std::vector<audit::HsmKey> keys;
  for (const auto& text : texts) {
    AVSEAL_TRY(auto key, read_key(text));
    const bool twice = std::any_of(keys.begin(), keys.end(), [&key](const auto& other) {
      return other.name == key.name || other.object == key.object;
    });
    if (twice) {
      return invalid(
          fmt::format("--hsm-key {}: expected each key and each object once; an HSM key has one name", text));
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace

void HsmLogInput::add_to(CLI::App& command, CLI::Option* since) {
  auto* log = command.add_option(
      "--hsm-log", files,
      "outputs of the program that shows the HSM's own log of key uses, from its reset on and in order; several HSMs "
      "one after the other");
  log->check(CLI::ExistingFile)->excludes(since);
  auto* name = command.add_option("--hsm-profile", profile, "the HSM's profile, which says in what form its log is");
  auto* key = command.add_option("--hsm-key", keys,
                                 "NAME=0xID: a key of the ledger and its object in the HSM; may be repeated");
  log->needs(name)->needs(key);
  name->needs(log);
  key->needs(log);
  command
      .add_option("--hsm-tests", tests,
                  "how many test signatures of these keys together are accepted beside the ledger's; without it none")
      ->needs(log);
  command.add_option("--profile-directory", profile_directory, "instead of " + profile_directory)->needs(log);
}

Result<std::optional<HsmLog>> HsmLogInput::read() const {
  if (files.empty()) return std::optional<HsmLog>();
  if (!tokend::is_profile_name(profile)) {
    return invalid(fmt::format("--hsm-profile: expected a profile's name, found \"{}\"", profile));
  }
  AVSEAL_TRY(const auto known, tokend::load_profile(profile_directory, profile));
  if (known.own_log.empty()) {
    return invalid(
        fmt::format("--hsm-profile: expected a profile with `own_log`; {} ({}) tells of no log that could be "
                    "compared",
                    profile, known.title));
  }
  HsmLog log;
  log.tests = tests;
  AVSEAL_TRY(log.keys, read_keys(keys));
  for (const auto& file : files) {
    AVSEAL_TRY(auto text, read_file(file));
    log.outputs.emplace_back(file, std::move(text));
  }
  return log;
}

}  // namespace avseal::cli
