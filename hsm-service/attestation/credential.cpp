#include "attestation/credential.hpp"

#include <array>

#include <openssl/rsa.h>

#include "attestation/kdf.hpp"
#include "tokens/digest.hpp"
#include "tokens/openssl.hpp"

namespace avseal::attestation {

namespace {

namespace ssl = tokens::ssl;

constexpr std::size_t secret_max_size = 32;
constexpr std::string_view identity = "IDENTITY";
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, ssl::Free<EVP_CIPHER_CTX_free>>;

// Of the TCG template for each type of endorsement key.
struct Parameters {
  Hash hash;
  std::uint32_t symmetric_bits;
  const char* cipher;
  std::size_t coordinate;  // bytes; 0 for RSA
  const char* group;
};

Parameters parameters_of(EkType type) {
  switch (type) {
    case EkType::p256:
      return {Hash::sha256, 128, "AES-128-CFB", 32, "P-256"};
    case EkType::p384:
      return {Hash::sha384, 256, "AES-256-CFB", 48, "P-384"};
    case EkType::rsa2048:
      break;
  }
  return {Hash::sha256, 128, "AES-128-CFB", 0, nullptr};
}

Error failed(std::string_view what) {
  return errors::make(Category::internal, "credential-failed", "OpenSSL failed: " + std::string(what));
}

// Bytes that are cleared when they die.
struct Cleared {
  Bytes bytes;
  explicit Cleared(Bytes b) : bytes(std::move(b)) {}
  Cleared(Cleared&&) noexcept = default;
  Cleared& operator=(Cleared&&) = delete;
  Cleared(const Cleared&) = delete;
  Cleared& operator=(const Cleared&) = delete;
  ~Cleared() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

Bytes tpm2b(ByteView content) {
  Bytes out{static_cast<std::uint8_t>(content.size() >> 8U), static_cast<std::uint8_t>(content.size() & 0xFFU)};
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// A seed, and how the EK's holder gets at it.
struct Seed {
  Cleared value;
  Bytes encrypted;
};

Result<Seed> seed_for_rsa(EVP_PKEY* key, const Parameters& with) {
  Seed seed{Cleared(tokens::random_bytes(size_of(with.hash))), {}};
  const ssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  // The label has its terminating NUL.
  auto* label = static_cast<unsigned char*>(OPENSSL_memdup(identity.data(), identity.size() + 1));
  const EVP_MD* hash = EVP_sha256();
  bool done = context && EVP_PKEY_encrypt_init(context.get()) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) == 1 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) == 1;
  if (!done || EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label, static_cast<int>(identity.size() + 1)) != 1) {
    OPENSSL_free(label);
    return failed("RSA-OAEP");
  }
  std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes encrypted(size);
  done =
      EVP_PKEY_encrypt(context.get(), encrypted.data(), &size, seed.value.bytes.data(), seed.value.bytes.size()) == 1;
  if (!done) return failed("RSA-OAEP encryption");
  seed.encrypted = tpm2b(encrypted);
  return seed;
}

// x and y of an uncompressed point.
Result<Bytes> point_of(EVP_PKEY* key, std::size_t coordinate) {
  unsigned char* out = nullptr;
  const std::size_t size = EVP_PKEY_get1_encoded_public_key(key, &out);
  const Bytes bytes(out, out + size);
  OPENSSL_free(out);
  if (size != 2 * coordinate + 1 || bytes[0] != 0x04) return failed("the point of an EC key");
  return Bytes(bytes.begin() + 1, bytes.end());
}

Result<Seed> seed_for_ecc(EVP_PKEY* key, const Parameters& with) {
  const ssl::Pkey ephemeral(EVP_EC_gen(with.group));
  if (!ephemeral) return failed("EC key generation");
  AVSEAL_TRY(const Bytes ek_point, point_of(key, with.coordinate));
  AVSEAL_TRY(const Bytes point, point_of(ephemeral.get(), with.coordinate));
  const ssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ephemeral.get(), nullptr));
  Cleared z(Bytes(with.coordinate));
  std::size_t size = z.bytes.size();
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), key) != 1 ||
      EVP_PKEY_derive(context.get(), z.bytes.data(), &size) != 1 || size != with.coordinate) {
    return failed("ECDH");
  }
  const ByteView x = ByteView(point).first(with.coordinate);
  Bytes shared = tpm2b(x);
  append(shared, tpm2b(ByteView(point).subspan(with.coordinate)));
  return Seed{Cleared(kdfe(with.hash, z.bytes, identity, x, ByteView(ek_point).first(with.coordinate))), tpm2b(shared)};
}

Result<Bytes> encrypt(const char* cipher, ByteView key, ByteView plain) {
  constexpr std::array<std::uint8_t, 16> no_iv{};
  const std::unique_ptr<EVP_CIPHER, ssl::Free<EVP_CIPHER_free>> method(EVP_CIPHER_fetch(nullptr, cipher, nullptr));
  const CipherContext context(EVP_CIPHER_CTX_new());
  Bytes out(plain.size());
  int size = 0;
  if (!method || !context || EVP_EncryptInit_ex2(context.get(), method.get(), key.data(), no_iv.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(), static_cast<int>(plain.size())) != 1 ||
      static_cast<std::size_t>(size) != plain.size()) {
    return failed(cipher);
  }
  return out;
}

}  // namespace

Result<Credential> make_credential(const EndorsementKey& ek, ByteView name, ByteView secret) {
  const ssl::ErrorMark mark;
  if (secret.empty() || secret.size() > secret_max_size) return failed("a secret of 1 to 32 bytes is expected");
  const Parameters with = parameters_of(ek.type);
  AVSEAL_TRY(const Seed seed,
             with.group == nullptr ? seed_for_rsa(ek.key.get(), with) : seed_for_ecc(ek.key.get(), with));
  const auto hash_bits = static_cast<std::uint32_t>(8 * size_of(with.hash));
  const Cleared key(kdfa(with.hash, seed.value.bytes, "STORAGE", name, {}, with.symmetric_bits));
  const Cleared mac_key(kdfa(with.hash, seed.value.bytes, "INTEGRITY", {}, {}, hash_bits));
  const Cleared plain(tpm2b(secret));
  AVSEAL_TRY(const Bytes encrypted, encrypt(with.cipher, key.bytes, plain.bytes));
  Bytes authenticated = encrypted;
  append(authenticated, name);
  Bytes object = tpm2b(hmac(with.hash, mac_key.bytes, authenticated));
  append(object, encrypted);
  return Credential{tpm2b(object), seed.encrypted};
}

}  // namespace avseal::attestation
