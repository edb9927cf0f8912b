#include "tlog/period.hpp"

namespace avseal::tlog {

namespace {

std::string_view parent_of(std::string_view origin) {
  return origin.substr(0, origin.rfind('/'));
}

bool is_period(std::string_view origin) {
  const auto slash = origin.rfind('/');
  return slash != std::string_view::npos && origin.size() - slash == 5 &&
         origin.find_first_not_of("0123456789", slash + 1) == std::string_view::npos;
}

std::optional<VerifierKey> renamed(const VerifierKey& key, const std::string& name) {
  if (key.type() != KeyType::ecdsa) {
    auto made = VerifierKey::of_ed25519(name, key.type(), key.material());
    return made ? std::optional(*made) : std::nullopt;
  }
  const auto public_key = tokens::PublicKey::from_spki(key.material());
  if (!public_key) return std::nullopt;
  auto made = VerifierKey::of(name, *public_key);
  return made ? std::optional(*made) : std::nullopt;
}

}  // namespace

std::optional<VerifierKey> key_for(const VerifierKey& key, const std::string& origin) {
  if (key.name() == origin) return key;
  const bool same_log = is_period(origin) && is_period(key.name()) && parent_of(origin) == parent_of(key.name());
  return same_log ? renamed(key, origin) : std::nullopt;
}

}  // namespace avseal::tlog
