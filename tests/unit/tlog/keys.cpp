#include "tests/unit/tlog/keys.hpp"

#include <stdexcept>

namespace avseal::tlog {

namespace {

namespace ssl = tokens::ssl;

Bytes digest_sign(EVP_PKEY* key, const EVP_MD* hash, std::string_view message) {
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const auto bytes = as_bytes(message);
  std::size_t size = 256;
  Bytes signature(size);
  if (EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("OpenSSL cannot sign");
  }
  signature.resize(size);
  return signature;
}

tokens::PublicKey make_key(const char* curve) {
  return tokens::PublicKey(std::shared_ptr<EVP_PKEY>(EVP_EC_gen(curve), EVP_PKEY_free));
}

VerifierKey cosigner_key(std::string name, EVP_PKEY* key) {
  Bytes raw(32);
  std::size_t size = raw.size();
  EVP_PKEY_get_raw_public_key(key, raw.data(), &size);
  return VerifierKey::of_ed25519(std::move(name), KeyType::cosignature, raw).value();
}

}  // namespace

Signer::Signer(std::string name, const char* curve)
    : public_key_(make_key(curve)), key_(VerifierKey::of(std::move(name), public_key_).value()) {}

NoteSignature Signer::sign(std::string_view text) const {
  return {key_.name(), key_.key_id(), digest_sign(public_key_.native(), EVP_sha256(), text)};
}

Cosigner::Cosigner(std::string name)
    : private_key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")),
      key_(cosigner_key(std::move(name), private_key_.get())) {}

NoteSignature Cosigner::cosign(std::string_view text, UnixSeconds time) const {
  Bytes bytes;
  for (unsigned shift = 64; shift != 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(time) >> (shift - 8) & 0xFFU));
  }
  const auto signature = digest_sign(private_key_.get(), nullptr, cosignature_message(text, time));
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  return {key_.name(), key_.key_id(), std::move(bytes)};
}

}  // namespace avseal::tlog
