#include "keyring/keys.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "keyring/certificate_rules.hpp"
#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

constexpr std::size_t max_certificate_file = 64 * 1024;  // bytes

struct KindName {
  KeyKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 6> kind_names{{
    {KeyKind::avatar_id, "avatar-id"},
    {KeyKind::avatar_metadata, "avatar-metadata"},
    {KeyKind::access_token, "access-token"},
    {KeyKind::ue_ca, "ue-ca"},
    {KeyKind::ledger, "ledger"},
    {KeyKind::dac_kek, "dac-kek"},
}};

Result<std::string> read_small_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return errors::certificate_unreadable(path, "it cannot be opened");
  std::string text(max_certificate_file + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return errors::certificate_unreadable(path, "reading it failed");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > max_certificate_file) return errors::certificate_unreadable(path, "it is larger than 64 KiB");
  return text;
}

Result<SigningKey> load_key(const KeyConfig& config, std::optional<UnixSeconds> now) {
  if (config.certificate.empty()) {
    return errors::key_configuration(
        fmt::format("key '{}' of kind {} has no certificate; set `certificate` to its PEM file", config.name,
                    to_string(config.kind)));
  }
  AVSEAL_TRY(const std::string pem, read_small_file(config.certificate));
  const bool bare = pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos &&
                    pem.find("-----BEGIN PUBLIC KEY-----") != std::string::npos;
  if (bare && config.kind == KeyKind::ledger) {
    auto key = tokens::PublicKey::from_pem(pem);
    if (!key) return errors::certificate_malformed(config.certificate, key.error());
    return SigningKey{config.name, config.kind, std::move(*key), {}};
  }
  auto chain = tokens::Certificate::chain_from_pem(pem);
  if (!chain) return errors::certificate_malformed(config.certificate, chain.error());
  const auto& leaf = chain->front();
  AVSEAL_CHECK(check_suitable(config, leaf));
  if (config.primary && now) {
    AVSEAL_CHECK(check_validity(config, leaf, *now));  // others verify what they signed while they were valid
  }
  auto public_key = leaf.public_key();
  return SigningKey{config.name, config.kind, std::move(public_key), std::move(*chain)};
}

// Names, tokens and primaries, before any file is opened.
Result<void> check_configuration(const std::vector<KeyConfig>& configs) {
  std::set<std::string_view> names;
  for (const auto& config : configs) {
    if (config.name.empty()) return errors::key_configuration("a key has no name");
    if (!names.insert(config.name).second) {
      return errors::key_configuration(fmt::format("two keys are named '{}'", config.name));
    }
    if (config.primary && config.tokens.empty()) {
      return errors::key_configuration(fmt::format("key '{}' is primary, but no token holds it", config.name));
    }
    if (config.kind == KeyKind::dac_kek && !config.certificate.empty()) {
      return errors::key_configuration(
          fmt::format("key '{}' of kind dac-kek is a secret key: it has no certificate", config.name));
    }
  }
  for (const auto& [kind, name] : kind_names) {
    const auto of_kind = [wanted = kind](const KeyConfig& config) { return config.kind == wanted; };
    const auto all = std::count_if(configs.begin(), configs.end(), of_kind);
    const auto primaries = std::count_if(configs.begin(), configs.end(),
                                         [&](const KeyConfig& config) { return of_kind(config) && config.primary; });
    if (all > 0 && primaries != 1) {
      return errors::key_configuration(
          fmt::format("{} keys of kind {} are primary; exactly one must be", primaries, name));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(KeyKind kind) {
  for (const auto& entry : kind_names) {
    if (entry.kind == kind) return entry.name;
  }
  return "unknown";
}

Result<KeyKind> parse_key_kind(std::string_view text) {
  for (const auto& entry : kind_names) {
    if (entry.name == text) return entry.kind;
  }
  return errors::key_kind_unknown(text);
}

Result<std::vector<SigningKey>> check_keys(const std::vector<KeyConfig>& configs) {
  AVSEAL_CHECK(check_configuration(configs));
  std::vector<SigningKey> keys;
  for (const auto& config : configs) {
    if (config.kind == KeyKind::dac_kek) continue;
    AVSEAL_TRY(auto key, load_key(config, std::nullopt));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<std::shared_ptr<const Keys>> Keys::load(const std::vector<KeyConfig>& configs, UnixSeconds now) {
  AVSEAL_CHECK(check_configuration(configs));
  auto keys = std::make_shared<Keys>();
  for (const auto& config : configs) {
    if (config.kind == KeyKind::dac_kek) continue;
    AVSEAL_TRY(auto key, load_key(config, now));
    const auto same = std::find_if(keys->keys_.begin(), keys->keys_.end(),
                                   [&](const SigningKey& other) { return other.public_key == key.public_key; });
    if (same != keys->keys_.end()) {
      return errors::key_configuration(
          fmt::format("keys '{}' and '{}' have the same public key: replicas of one key are one key "
                      "with several tokens, and a key has one kind",
                      same->name, key.name));
    }
    if (config.primary) keys->primaries_.push_back(keys->keys_.size());
    key.kid = key.public_key.thumbprint();
    key.cosigns = config.cosigns && !config.primary;
    keys->keys_.push_back(std::move(key));
  }
  return std::shared_ptr<const Keys>(std::move(keys));
}

Result<SigningKeyPtr> Keys::primary(KeyKind kind) const {
  for (const auto index : primaries_) {
    if (keys_[index].kind == kind) return SigningKeyPtr(shared_from_this(), &keys_[index]);
  }
  return errors::key_not_configured(to_string(kind));
}

const SigningKey* Keys::find_kid(std::string_view kid) const {
  for (const auto& key : keys_) {
    if (key.kid == kid) return &key;
  }
  return nullptr;
}

}  // namespace avseal::keyring
