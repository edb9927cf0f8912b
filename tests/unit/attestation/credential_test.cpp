#include "attestation/credential.hpp"

#include <gtest/gtest.h>

#include "attestation/kdf.hpp"
#include "tests/unit/attestation/maker.hpp"
#include "tokens/digest.hpp"

namespace avseal::attestation {
namespace {

using namespace testing;

// The content of a sized buffer, which is then taken off.
Bytes take(ByteView& bytes) {
  const std::size_t size = std::size_t{bytes[0]} << 8U | bytes[1];
  const Bytes content(bytes.begin() + 2, bytes.begin() + 2 + static_cast<std::ptrdiff_t>(size));
  bytes = bytes.subspan(2 + size);
  return content;
}

// What TPM2_ActivateCredential does, with the private key of an EK on P-256. Nothing if the integrity is broken.
struct Activation {
  Bytes ephemeral_x;
  std::optional<Bytes> secret;
};
Activation activate(const ssl::Pkey& ek, const Credential& credential, ByteView name) {
  ByteView secret_view = credential.secret;
  const Bytes point_bytes = take(secret_view);
  EXPECT_TRUE(secret_view.empty());
  ByteView point = point_bytes;
  Activation result{take(point), {}};
  const Bytes y = take(point);
  EXPECT_TRUE(point.empty());
  Bytes uncompressed{0x04};
  uncompressed.insert(uncompressed.end(), result.ephemeral_x.begin(), result.ephemeral_x.end());
  uncompressed.insert(uncompressed.end(), y.begin(), y.end());
  const tokens::PublicKey peer = tokens::PublicKey::from_point(uncompressed).value();
  const ssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ek.get(), nullptr));
  Bytes z(32);
  std::size_t size = z.size();
  EXPECT_TRUE(EVP_PKEY_derive_init(context.get()) == 1 && EVP_PKEY_derive_set_peer(context.get(), peer.native()) == 1 &&
              EVP_PKEY_derive(context.get(), z.data(), &size) == 1);
  const Bytes ek_point = tokens::PublicKey(std::shared_ptr<EVP_PKEY>(share(ek).release(), EVP_PKEY_free)).point();
  const Bytes seed = kdfe(Hash::sha256, z, "IDENTITY", result.ephemeral_x, ByteView(ek_point).subspan(1, 32));

  ByteView object_view = credential.blob;
  const Bytes object_bytes = take(object_view);
  ByteView object = object_bytes;
  const Bytes integrity = take(object);
  Bytes authenticated(object.begin(), object.end());
  authenticated.insert(authenticated.end(), name.begin(), name.end());
  if (hmac(Hash::sha256, kdfa(Hash::sha256, seed, "INTEGRITY", {}, {}, 256), authenticated) != integrity) return result;
  const Bytes key = kdfa(Hash::sha256, seed, "STORAGE", name, {}, 128);
  const std::unique_ptr<EVP_CIPHER_CTX, ssl::Free<EVP_CIPHER_CTX_free>> cipher(EVP_CIPHER_CTX_new());
  const Bytes no_iv(16);
  Bytes plain(object.size());
  int out = 0;
  EVP_DecryptInit_ex2(cipher.get(), EVP_aes_128_cfb128(), key.data(), no_iv.data(), nullptr);
  EVP_DecryptUpdate(cipher.get(), plain.data(), &out, object.data(), static_cast<int>(object.size()));
  ByteView plain_view = plain;
  result.secret = take(plain_view);
  return result;
}

EndorsementKey p256_ek(const ssl::Pkey& key) {
  return {EkType::p256, std::shared_ptr<EVP_PKEY>(share(key).release(), EVP_PKEY_free)};
}

// About one ephemeral key in 256 has an x coordinate with a leading zero, which must neither be cut off nor counted
// out.
TEST(CredentialTest, LeadingZerosOfCoordinatesAreKept) {
  const ssl::Pkey key = make_key("P-256");
  const EndorsementKey ek = p256_ek(key);
  const Bytes name(34, 0x0B);
  bool seen = false;
  for (int i = 0; i < 20'000 && !seen; ++i) {
    const Bytes secret = tokens::random_bytes(32);
    const Activation activation = activate(key, make_credential(ek, name, secret).value(), name);
    ASSERT_EQ(activation.ephemeral_x.size(), 32U);
    ASSERT_EQ(activation.secret, secret);
    seen = activation.ephemeral_x[0] == 0;
  }
  EXPECT_TRUE(seen);
}

TEST(CredentialTest, NameIsBound) {
  const ssl::Pkey key = make_key("P-256");
  const Credential credential = make_credential(p256_ek(key), Bytes(34, 0x0B), Bytes(32, 1)).value();
  EXPECT_FALSE(activate(key, credential, Bytes(34, 0x0C)).secret);
  EXPECT_FALSE(activate(make_key("P-256"), credential, Bytes(34, 0x0B)).secret) << "another EK";
}

TEST(CredentialTest, EachIsMadeAnew) {
  const ssl::Pkey rsa = make_key("rsa-2048");
  const EndorsementKey ek{EkType::rsa2048, std::shared_ptr<EVP_PKEY>(share(rsa).release(), EVP_PKEY_free)};
  const Credential first = make_credential(ek, Bytes(34), Bytes(32)).value();
  const Credential second = make_credential(ek, Bytes(34), Bytes(32)).value();
  EXPECT_EQ(first.secret.size(), 2U + 256);
  EXPECT_EQ(first.blob.size(), 2U + 2 + 32 + 2 + 32);
  EXPECT_NE(first.secret, second.secret);
  EXPECT_NE(first.blob, second.blob);
  EXPECT_FALSE(make_credential(ek, Bytes(34), {}));
  EXPECT_FALSE(make_credential(ek, Bytes(34), Bytes(33)));
}

}  // namespace
}  // namespace avseal::attestation
