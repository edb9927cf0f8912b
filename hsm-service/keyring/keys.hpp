#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tokens/certificate.hpp"

namespace avseal::keyring {

enum class KeyKind { avatar_id, avatar_metadata, access_token, ue_ca, ledger, dac_kek };
std::string_view to_string(KeyKind kind);  // "avatar-id", ...
Result<KeyKind> parse_key_kind(std::string_view text);

struct KeyConfig {
  std::string name;  // also the worker's name of the key
  KeyKind kind = KeyKind::avatar_id;
  std::filesystem::path certificate;  // PEM, leaf first; empty for dac-kek; `ledger` may have a bare public key
  std::vector<std::string> tokens;    // names of the tokens that hold it
  bool primary = true;                // exactly one per kind; others only verify on
  bool cosigns = false;               // `ledger`: signs checkpoints beside the primary key that replaced it
};

// A logical key with its certificate: everything a role needs to build a header.
struct SigningKey {
  std::string name;
  KeyKind kind = KeyKind::avatar_id;
  tokens::PublicKey public_key;
  std::vector<tokens::Certificate> chain;  // leaf first; empty for `ledger` with a bare public key
  std::string kid = {};                    // RFC 7638 thumbprint of public_key
  bool cosigns = false;
  [[nodiscard]] const tokens::Certificate& certificate() const { return chain.front(); }
};

// Keeps its key through a reconfiguration while a request uses it.
using SigningKeyPtr = std::shared_ptr<const SigningKey>;

// All configured keys that sign (dac-kek has no public key and is none of them); immutable, shared by the threads.
class Keys : public std::enable_shared_from_this<Keys> {
 public:
  // Reads the certificates. Errors name the file: unreadable, expired ("certificate-expired"), two primaries of a kind,
  // ...
  static Result<std::shared_ptr<const Keys>> load(const std::vector<KeyConfig>& configs, UnixSeconds now);

  [[nodiscard]] Result<SigningKeyPtr> primary(KeyKind kind) const;  // "key-not-configured"
  [[nodiscard]] const std::vector<SigningKey>& all() const { return keys_; }
  [[nodiscard]] const SigningKey* find_kid(std::string_view kid) const;

 private:
  std::vector<SigningKey> keys_;
  std::vector<std::size_t> primaries_;
};

}  // namespace avseal::keyring
