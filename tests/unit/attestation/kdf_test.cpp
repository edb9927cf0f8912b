#include "attestation/kdf.hpp"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "tests/unit/attestation/maker.hpp"
#include "tokens/digest.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;

Bytes derive(const char* name, std::vector<OSSL_PARAM> params, std::size_t size) {
  const std::unique_ptr<EVP_KDF, ssl::Free<EVP_KDF_free>> kdf(EVP_KDF_fetch(nullptr, name, nullptr));
  const std::unique_ptr<EVP_KDF_CTX, ssl::Free<EVP_KDF_CTX_free>> context(EVP_KDF_CTX_new(kdf.get()));
  params.push_back(OSSL_PARAM_construct_end());
  Bytes out(size);
  EXPECT_EQ(EVP_KDF_derive(context.get(), out.data(), out.size(), params.data()), 1);
  return out;
}

OSSL_PARAM text(const char* key, const char* value) {
  return OSSL_PARAM_construct_utf8_string(key, const_cast<char*>(value), 0);
}
OSSL_PARAM bytes(const char* key, Bytes& value) {
  return OSSL_PARAM_construct_octet_string(key, value.data(), value.size());
}

// OpenSSL's own SP 800-108 counter mode, of which KDFa is one form.
TEST(KdfTest, KdfaIsCounterModeOfSp800_108) {
  for (const auto& [hash, bits] : std::vector<std::pair<Hash, std::uint32_t>>{
           {Hash::sha256, 128}, {Hash::sha256, 256}, {Hash::sha384, 256}, {Hash::sha384, 384}, {Hash::sha256, 1024}}) {
    Bytes key = tokens::random_bytes(32);
    const Bytes u = tokens::random_bytes(34);
    const Bytes v = tokens::random_bytes(7);
    Bytes label{'S', 'T', 'O', 'R', 'A', 'G', 'E'};
    Bytes context = u;
    context.insert(context.end(), v.begin(), v.end());
    const Bytes expected = derive("KBKDF",
                                  {text(OSSL_KDF_PARAM_MODE, "counter"), text(OSSL_KDF_PARAM_MAC, "HMAC"),
                                   text(OSSL_KDF_PARAM_DIGEST, openssl_name(hash)), bytes(OSSL_KDF_PARAM_KEY, key),
                                   bytes(OSSL_KDF_PARAM_SALT, label), bytes(OSSL_KDF_PARAM_INFO, context)},
                                  bits / 8);
    EXPECT_EQ(kdfa(hash, key, "STORAGE", u, v, bits), expected) << bits;
  }
}

// OpenSSL's single-step derivation of SP 800-56C, of which KDFe is one form.
TEST(KdfTest, KdfeIsTheSingleStepOfSp800_56c) {
  for (const Hash hash : {Hash::sha256, Hash::sha384}) {
    Bytes z = tokens::random_bytes(48);
    const Bytes u = tokens::random_bytes(48);
    const Bytes v = tokens::random_bytes(48);
    Bytes info{'I', 'D', 'E', 'N', 'T', 'I', 'T', 'Y', 0};
    info.insert(info.end(), u.begin(), u.end());
    info.insert(info.end(), v.begin(), v.end());
    const Bytes expected = derive("SSKDF",
                                  {text(OSSL_KDF_PARAM_DIGEST, openssl_name(hash)), bytes(OSSL_KDF_PARAM_KEY, z),
                                   bytes(OSSL_KDF_PARAM_INFO, info)},
                                  size_of(hash));
    EXPECT_EQ(kdfe(hash, z, "IDENTITY", u, v), expected);
  }
}

}  // namespace
}  // namespace avseal::attestation
