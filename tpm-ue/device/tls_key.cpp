// OpenSSL 3.0 takes a key that lives elsewhere as a provider or as an EC_KEY with methods of its own. The latter is
// deprecated, but needs no global state; the deprecated names stay in this file.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "device/tls_key.hpp"

#include <algorithm>
#include <memory>

#include <openssl/ssl.h>

#include "tokens/openssl.hpp"

namespace avseal::device {
namespace {

using EcKey = std::unique_ptr<EC_KEY, tokens::ssl::Free<EC_KEY_free>>;

Error unusable(std::string_view what) {
  return errors::make(Category::internal, "tls-key-unusable",
                      "the UE key cannot be used for TLS: " + std::string(what));
}

void free_signer(void*, void* signer, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<HandshakeSigner*>(signer);
}

int signer_index() {
  static const int index = EC_KEY_get_ex_new_index(0, nullptr, nullptr, nullptr, free_signer);
  return index;
}

ECDSA_SIG* sign_digest(const unsigned char* digest, int size, const BIGNUM*, const BIGNUM*, EC_KEY* key) {
  const auto* signer = static_cast<const HandshakeSigner*>(EC_KEY_get_ex_data(key, signer_index()));
  tokens::Sha256 copy{};
  if (signer == nullptr || size != static_cast<int>(copy.size())) return nullptr;
  std::copy(digest, digest + size, copy.begin());
  const auto raw = (*signer)(copy);
  if (!raw) return nullptr;
  const auto der = tokens::signature_to_der(*raw);
  if (!der) return nullptr;
  const unsigned char* at = der->data();
  return d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der->size()));
}

int sign_der(int type, const unsigned char* digest, int size, unsigned char* out, unsigned int* out_size,
             const BIGNUM* k, const BIGNUM* r, EC_KEY* key) {
  static_cast<void>(type);
  const tokens::ssl::EcdsaSig signature(sign_digest(digest, size, k, r, key));
  const int written = signature ? i2d_ECDSA_SIG(signature.get(), &out) : 0;
  *out_size = written > 0 ? static_cast<unsigned int>(written) : 0;
  return written > 0 ? 1 : 0;
}

const EC_KEY_METHOD* methods() {
  static const auto method = [] {
    std::unique_ptr<EC_KEY_METHOD, tokens::ssl::Free<EC_KEY_METHOD_free>> out(EC_KEY_METHOD_new(EC_KEY_OpenSSL()));
    if (out) EC_KEY_METHOD_set_sign(out.get(), sign_der, nullptr, sign_digest);
    return out;
  }();
  return method.get();
}

// The public half of `key` with our methods and signer.
EcKey make_key(const tokens::PublicKey& key, HandshakeSigner signer) {
  const Bytes point = key.point();
  EcKey out(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  if (!out || methods() == nullptr || EC_KEY_set_method(out.get(), methods()) != 1 ||
      EC_KEY_oct2key(out.get(), point.data(), point.size(), nullptr) != 1) {
    return nullptr;
  }
  auto kept = std::make_unique<HandshakeSigner>(std::move(signer));
  if (EC_KEY_set_ex_data(out.get(), signer_index(), kept.get()) != 1) return nullptr;
  static_cast<void>(kept.release());  // free_signer deletes it
  return out;
}

}  // namespace

Result<void> use_tls_key(ssl_ctx_st& context, std::span<const tokens::Certificate> chain, HandshakeSigner signer) {
  const EcKey key = make_key(chain.front().public_key(), std::move(signer));
  const tokens::ssl::Pkey pkey(EVP_PKEY_new());
  if (!key || !pkey || EVP_PKEY_set1_EC_KEY(pkey.get(), key.get()) != 1) return unusable("no key object");
  if (SSL_CTX_set_min_proto_version(&context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set1_sigalgs_list(&context, "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384") != 1 ||
      SSL_CTX_set1_client_sigalgs_list(&context, "ecdsa_secp256r1_sha256") != 1) {
    return unusable("TLS 1.3 with ECDSA is not available");
  }
  if (SSL_CTX_use_certificate(&context, chain.front().native()) != 1 ||
      SSL_CTX_use_PrivateKey(&context, pkey.get()) != 1) {
    return unusable("the certificate and the key do not fit");
  }
  for (const auto& certificate : chain.subspan(1)) {
    if (SSL_CTX_add1_chain_cert(&context, certificate.native()) != 1) return unusable("the chain is refused");
  }
  return {};
}

}  // namespace avseal::device
