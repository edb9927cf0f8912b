#include "tokens/public_key.hpp"

#include <array>

#include <openssl/core_names.h>
#include <openssl/pem.h>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

Error unusable(std::string found) {
  return errors::make(Category::invalid, "public-key-invalid",
                      "expected an EC public key on P-256 or P-384, found " + std::move(found));
}

Error bad_signature(std::string detail) {
  return errors::make(Category::invalid, "signature-invalid", std::move(detail));
}

const char* group_of(std::size_t coordinate) {
  return coordinate == 32 ? "P-256" : "P-384";
}

// Takes over pkey if it is of a curve of ours.
Result<PublicKey> checked(ssl::Pkey pkey) {
  if (!pkey) return unusable("no key that can be read");
  std::array<char, 32> group{};
  std::size_t size = 0;
  if (EVP_PKEY_is_a(pkey.get(), "EC") != 1 ||
      EVP_PKEY_get_utf8_string_param(pkey.get(), OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), &size) != 1) {
    return unusable("a key of another type");
  }
  const std::string_view name(group.data(), size);
  if (name != "prime256v1" && name != "secp384r1" && name != "P-256" && name != "P-384") {
    return unusable("the curve " + std::string(name));
  }
  return PublicKey(std::shared_ptr<EVP_PKEY>(pkey.release(), EVP_PKEY_free));
}

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  return algorithm == Algorithm::es256 ? "ES256" : "ES384";
}

PublicKey::PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}

Result<PublicKey> PublicKey::from_spki(ByteView der) {
  const ssl::ErrorMark mark;
  const unsigned char* at = der.data();
  ssl::Pkey pkey(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (pkey && at != der.data() + der.size()) return unusable("bytes after the SubjectPublicKeyInfo");
  return checked(std::move(pkey));
}

Result<PublicKey> PublicKey::from_point(ByteView uncompressed_point) {
  const ssl::ErrorMark mark;
  const std::size_t coordinate = uncompressed_point.size() / 2;
  if (uncompressed_point.size() % 2 != 1 || (coordinate != 32 && coordinate != 48) || uncompressed_point[0] != 0x04) {
    return unusable("bytes that are no uncompressed point of either curve");
  }
  const ssl::ParamBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group_of(coordinate), 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, uncompressed_point.data(),
                                   uncompressed_point.size());
  const ssl::Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const ssl::PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* pkey = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return unusable("a point that is not on the curve");
  }
  return checked(ssl::Pkey(pkey));
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  const ssl::ErrorMark mark;
  const ssl::Bio bio = ssl::memory_bio(pem);
  return checked(ssl::Pkey(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr)));
}

Result<PublicKey> PublicKey::from_jwk(const boost::json::value& jwk) {
  AVSEAL_TRY(auto reader, ObjectReader::open(jwk));
  AVSEAL_TRY(const auto kty, reader.string("kty"));
  if (kty != "EC") return unusable("a JWK of another kty");
  if (reader.has("d")) return unusable("a JWK with a private part; never give that away");
  AVSEAL_TRY(const auto crv, reader.string("crv"));
  const std::size_t coordinate = crv == "P-256" ? 32U : crv == "P-384" ? 48U : 0U;
  if (coordinate == 0) return unusable("a JWK of another crv");
  Bytes point{0x04};
  for (const char* name : {"x", "y"}) {
    AVSEAL_TRY(const auto text, reader.string(name));
    const auto bytes = base64url_decode(text);
    if (!bytes || bytes->size() != coordinate)
      return unusable("a JWK coordinate that is not base64url of its full width");
    point.insert(point.end(), bytes->begin(), bytes->end());
  }
  AVSEAL_TRY(auto key, from_point(point));
  AVSEAL_TRY(const auto alg, reader.optional_string("alg"));
  if (alg && *alg != to_string(key.algorithm())) return unusable("a JWK whose alg is not that of its curve");
  return key;
}

Algorithm PublicKey::algorithm() const {
  return EVP_PKEY_get_bits(key_.get()) == 256 ? Algorithm::es256 : Algorithm::es384;
}

Bytes PublicKey::spki() const {
  return ssl::to_der<const EVP_PKEY>(i2d_PUBKEY, key_.get());
}

Bytes PublicKey::point() const {
  unsigned char* out = nullptr;
  const std::size_t size = EVP_PKEY_get1_encoded_public_key(key_.get(), &out);
  Bytes bytes(out, out + size);
  OPENSSL_free(out);
  return bytes;
}

boost::json::object PublicKey::jwk() const {
  const Bytes encoded = point();
  const std::size_t coordinate = encoded.size() / 2;
  const ByteView view(encoded);
  return {{"crv", group_of(coordinate)},
          {"kty", "EC"},
          {"x", base64url_encode(view.subspan(1, coordinate))},
          {"y", base64url_encode(view.subspan(1 + coordinate))}};
}

std::string PublicKey::thumbprint() const {
  return base64url_encode(sha256(as_bytes(canonical_json(jwk()))));
}

std::size_t PublicKey::signature_size() const {
  return algorithm() == Algorithm::es256 ? 64 : 96;
}

bool operator==(const PublicKey& a, const PublicKey& b) {
  return EVP_PKEY_eq(a.key_.get(), b.key_.get()) == 1;
}

Result<void> PublicKey::verify(ByteView message, ByteView raw_signature) const {
  if (raw_signature.size() != signature_size()) {
    return bad_signature("expected a signature of " + std::to_string(signature_size()) + " bytes, found " +
                         std::to_string(raw_signature.size()));
  }
  const ssl::ErrorMark mark;
  AVSEAL_TRY(const Bytes der, signature_to_der(raw_signature));
  Bytes digest;
  if (algorithm() == Algorithm::es256) {
    const Sha256 hash = sha256(message);
    digest.assign(hash.begin(), hash.end());
  } else {
    digest = sha384(message);
  }
  const ssl::PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  if (!context || EVP_PKEY_verify_init(context.get()) != 1 ||
      EVP_PKEY_verify(context.get(), der.data(), der.size(), digest.data(), digest.size()) != 1) {
    return bad_signature(
        "the signature does not verify with the key; the content was altered or another key signed it");
  }
  return {};
}

Result<Bytes> signature_to_der(ByteView raw_signature) {
  if (raw_signature.size() != 64 && raw_signature.size() != 96) {
    return bad_signature("expected a signature of 64 or 96 bytes, found " + std::to_string(raw_signature.size()));
  }
  const auto half = static_cast<int>(raw_signature.size() / 2);
  const ssl::EcdsaSig signature(ECDSA_SIG_new());
  ssl::BigNum r(BN_bin2bn(raw_signature.data(), half, nullptr));
  ssl::BigNum s(BN_bin2bn(raw_signature.data() + half, half, nullptr));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return bad_signature("the signature cannot be encoded");
  }
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  return ssl::to_der<const ECDSA_SIG>(i2d_ECDSA_SIG, signature.get());
}

Result<Bytes> signature_from_der(ByteView der, std::size_t width) {
  const ssl::ErrorMark mark;
  const unsigned char* at = der.data();
  const ssl::EcdsaSig signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!signature || at != der.data() + der.size())
    return bad_signature("expected a DER ECDSA-Sig-Value, found other bytes");
  const BIGNUM* r = ECDSA_SIG_get0_r(signature.get());
  const BIGNUM* s = ECDSA_SIG_get0_s(signature.get());
  const auto half = static_cast<int>(width / 2);
  Bytes raw(width);
  if (BN_is_negative(r) == 1 || BN_is_negative(s) == 1 || BN_bn2binpad(r, raw.data(), half) != half ||
      BN_bn2binpad(s, raw.data() + half, half) != half) {
    return bad_signature("expected r and s of " + std::to_string(half) + " bytes, found larger or negative ones");
  }
  return raw;
}

}  // namespace avseal::tokens
