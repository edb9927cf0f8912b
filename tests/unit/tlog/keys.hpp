// Signers in software, for tests of what is signed elsewhere in HSMs and by witnesses.
#pragma once

#include "tlog/note.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tlog {

// A log's key.
class Signer {
 public:
  Signer(std::string name, const char* curve);
  [[nodiscard]] const VerifierKey& key() const { return key_; }
  [[nodiscard]] const tokens::PublicKey& key_of_log() const { return public_key_; }
  [[nodiscard]] NoteSignature sign(std::string_view text) const;

 private:
  tokens::PublicKey public_key_;
  VerifierKey key_;
};

// A witness.
class Cosigner {
 public:
  explicit Cosigner(std::string name);
  [[nodiscard]] const VerifierKey& key() const { return key_; }
  [[nodiscard]] NoteSignature cosign(std::string_view text, UnixSeconds time) const;

 private:
  tokens::ssl::Pkey private_key_;
  VerifierKey key_;
};

}  // namespace avseal::tlog
