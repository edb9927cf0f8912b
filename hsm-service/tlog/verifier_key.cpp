#include <charconv>

#include <fmt/format.h>

#include "tlog/errors.hpp"
#include "tlog/note.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tlog {

namespace {

namespace ssl = tokens::ssl;

constexpr std::size_t ed25519_key_size = 32;
constexpr std::size_t ed25519_signature_size = 64;
constexpr std::size_t time_size = 8;
constexpr std::size_t max_vkey_size = 512;

Error malformed(std::string detail) {
  return errors::malformed("vkey-malformed", std::move(detail));
}

std::uint32_t first_four(const tokens::Sha256& digest) {
  return std::uint32_t{digest[0]} << 24U | std::uint32_t{digest[1]} << 16U | std::uint32_t{digest[2]} << 8U | digest[3];
}

// signed-note: SHA-256(name || 0x0A || type || key)[:4]; of ECDSA keys, SHA-256(SPKI)[:4].
std::uint32_t key_id_of(std::string_view name, KeyType type, ByteView material) {
  if (type == KeyType::ecdsa) return first_four(tokens::sha256(material));
  Bytes input(name.begin(), name.end());
  input.push_back('\n');
  input.push_back(static_cast<std::uint8_t>(type));
  input.insert(input.end(), material.begin(), material.end());
  return first_four(tokens::sha256(input));
}

bool digest_verifies(EVP_PKEY* key, const EVP_MD* hash, std::string_view message, ByteView signature) {
  const ssl::ErrorMark mark;
  const std::unique_ptr<EVP_MD_CTX, ssl::Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const auto bytes = as_bytes(message);
  return context && EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes.data(), bytes.size()) == 1;
}

}  // namespace

Result<VerifierKey> VerifierKey::of(std::string name, const tokens::PublicKey& key) {
  if (!is_key_name(name)) return malformed("expected a key name without spaces and plus signs");
  VerifierKey made;
  made.name_ = std::move(name);
  made.type_ = KeyType::ecdsa;
  made.material_ = key.spki();
  made.key_id_ = key_id_of(made.name_, made.type_, made.material_);
  made.key_ = std::shared_ptr<EVP_PKEY>(key.native(), [keep = key](EVP_PKEY*) {});
  return made;
}

Result<VerifierKey> VerifierKey::of_ed25519(std::string name, KeyType type, ByteView public_key) {
  const ssl::ErrorMark mark;
  if (!is_key_name(name)) return malformed("expected a key name without spaces and plus signs");
  if (type == KeyType::ecdsa || public_key.size() != ed25519_key_size) return malformed("expected 32 bytes of Ed25519");
  VerifierKey made;
  made.key_ = std::shared_ptr<EVP_PKEY>(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()), EVP_PKEY_free);
  if (!made.key_) return malformed("expected an Ed25519 key");
  made.name_ = std::move(name);
  made.type_ = type;
  made.material_.assign(public_key.begin(), public_key.end());
  made.key_id_ = key_id_of(made.name_, type, made.material_);
  return made;
}

Result<VerifierKey> VerifierKey::parse(std::string_view text) {
  if (text.size() > max_vkey_size) return malformed("expected at most 512 bytes");
  // A name has no '+', base64 may.
  const auto first = text.find('+');
  const auto second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return malformed("expected <name>+<key id>+<base64>");
  const std::string name(text.substr(0, first));
  const auto bytes = tokens::base64_decode(text.substr(second + 1));
  if (!bytes || bytes->empty()) return malformed("expected base64 of the type and the key behind the second plus sign");
  const auto type = static_cast<KeyType>(bytes->front());
  const auto material = ByteView(*bytes).subspan(1);
  if (type != KeyType::ecdsa && type != KeyType::ed25519 && type != KeyType::cosignature) {
    return malformed(
        fmt::format("expected key type 1 (Ed25519), 2 (ECDSA) or 4 (cosignature), found {}", bytes->front()));
  }
  const auto make = [&]() -> Result<VerifierKey> {
    if (type != KeyType::ecdsa) return of_ed25519(name, type, material);
    const auto key = tokens::PublicKey::from_spki(material);
    if (!key) return malformed(key.error().detail);
    return of(name, *key);
  };
  AVSEAL_TRY(VerifierKey key, make());
  if (key.text() != text) return malformed(fmt::format("expected {}, found another key id or encoding", key.text()));
  return key;
}

std::string VerifierKey::text() const {
  Bytes typed{static_cast<std::uint8_t>(type_)};
  typed.insert(typed.end(), material_.begin(), material_.end());
  return fmt::format("{}+{:08x}+{}", name_, key_id_, tokens::base64_encode(typed));
}

bool VerifierKey::made(const NoteSignature& signature) const {
  return signature.name == name_ && signature.key_id == key_id_;
}

Result<UnixSeconds> VerifierKey::verify(std::string_view text, ByteView signature) const {
  const auto wrong = [this] {
    return errors::wrong("note-signature-wrong", fmt::format("the signature of {} does not fit the text", name_));
  };
  if (type_ == KeyType::ecdsa) {
    if (!digest_verifies(key_.get(), EVP_sha256(), text, signature)) return wrong();
    return UnixSeconds{0};
  }
  if (type_ == KeyType::ed25519) {
    if (!digest_verifies(key_.get(), nullptr, text, signature)) return wrong();
    return UnixSeconds{0};
  }
  if (signature.size() != time_size + ed25519_signature_size) return wrong();
  std::uint64_t time = 0;
  for (const auto byte : signature.first(time_size)) time = time << 8U | byte;
  if (time >> 63U != 0) return wrong();
  const auto at = static_cast<UnixSeconds>(time);
  if (!digest_verifies(key_.get(), nullptr, cosignature_message(text, at), signature.subspan(time_size)))
    return wrong();
  return at;
}

}  // namespace avseal::tlog
