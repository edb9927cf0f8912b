#include "tokens/digest.hpp"

#include <algorithm>
#include <cstdlib>

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "tokens/base64.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

// Hashing and randomness fail only in a broken installation (no default provider, no entropy): there is no safe way on.
void require(bool done) {
  if (!done) std::abort();
}

// Fetched once: implicit fetches take a lock and a search per hash.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  return method;
}

// Set up once a thread: fetching and allocating take longer than a short message.
EVP_MAC_CTX* hmac_sha256_context() {
  struct Free {
    void operator()(EVP_MAC_CTX* context) const noexcept { EVP_MAC_CTX_free(context); }
  };
  static EVP_MAC* const method = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  thread_local const std::unique_ptr<EVP_MAC_CTX, Free> context = [] {
    std::unique_ptr<EVP_MAC_CTX, Free> made(EVP_MAC_CTX_new(method));
    char digest[] = "SHA2-256";
    const OSSL_PARAM settings[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
    require(made && EVP_MAC_CTX_set_params(made.get(), settings) == 1);
    return made;
  }();
  return context.get();
}

}  // namespace

Sha256 sha256(ByteView bytes) {
  Sha256 digest{};
  require(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, sha256_method(), nullptr) == 1);
  return digest;
}

Bytes sha384(ByteView bytes) {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA2-384", nullptr);
  Bytes digest(48);
  require(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, method, nullptr) == 1);
  return digest;
}

Sha256 hmac_sha256(ByteView key, ByteView bytes) {
  static constexpr unsigned char none = 0;
  Sha256 mac{};
  std::size_t size = 0;
  // A null key pointer would mean the key of before.
  const unsigned char* key_data = key.empty() ? &none : key.data();
  auto* const context = hmac_sha256_context();
  require(EVP_MAC_init(context, key_data, key.size(), nullptr) == 1 &&
          EVP_MAC_update(context, bytes.data(), bytes.size()) == 1 &&
          EVP_MAC_final(context, mac.data(), &size, mac.size()) == 1 && size == mac.size());
  return mac;
}

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  require(RAND_bytes(bytes.data(), static_cast<int>(size)) == 1);
  return bytes;
}

std::string random_uuid() {
  Bytes bytes = random_bytes(16);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  std::string text = hex_encode(bytes);
  for (const std::size_t position : {8U, 13U, 18U, 23U}) text.insert(position, 1, '-');
  return text;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

void Sha256Stream::Free::operator()(evp_md_ctx_st* context) const noexcept {
  EVP_MD_CTX_free(context);
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  require(context_ && EVP_DigestInit_ex2(context_.get(), sha256_method(), nullptr) == 1);
}

void Sha256Stream::update(ByteView bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Stream::finish() {
  Sha256 digest{};
  require(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
  require(EVP_DigestInit_ex2(context_.get(), sha256_method(), nullptr) == 1);
  return digest;
}

}  // namespace avseal::tokens
