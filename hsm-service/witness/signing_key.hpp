#pragma once

#include <filesystem>

#include "tlog/note.hpp"
#include "tokens/openssl.hpp"

namespace avseal::witness {

// A witness's Ed25519 key in a PKCS#8 PEM file of mode 0600, with the witness's name.
class SigningKey {
 public:
  // Makes the file; never replaces one. Errors "witness-key-exists", "witness-state".
  static Result<SigningKey> make(const std::filesystem::path& file, std::string name);
  // Errors "witness-key": unreadable, of another kind, or readable by others.
  static Result<SigningKey> load(const std::filesystem::path& file, std::string name);

  [[nodiscard]] const tlog::VerifierKey& key() const { return key_; }
  // A cosignature of a checkpoint's text (C2SP tlog-cosignature v1.0.1, type 0x04).
  [[nodiscard]] Result<tlog::NoteSignature> cosign(std::string_view text, UnixSeconds time) const;

 private:
  SigningKey(tokens::ssl::Pkey private_key, tlog::VerifierKey key)
      : private_key_(std::move(private_key)), key_(std::move(key)) {}
  static Result<SigningKey> of(tokens::ssl::Pkey private_key, std::string name);

  tokens::ssl::Pkey private_key_;
  tlog::VerifierKey key_;
};

}  // namespace avseal::witness
