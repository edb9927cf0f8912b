#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

struct evp_pkey_st;

namespace avseal::tokens {

enum class Algorithm { es256, es384 };            // fixed by the key: P-256 or P-384
std::string_view to_string(Algorithm algorithm);  // "ES256", "ES384"

// An EC public key on P-256 or P-384, checked to be on its curve. Copies share the key.
class PublicKey {
 public:
  static Result<PublicKey> from_spki(ByteView der);
  static Result<PublicKey> from_point(ByteView uncompressed_point);  // 0x04 || X || Y, curve by length
  static Result<PublicKey> from_pem(std::string_view pem);           // "BEGIN PUBLIC KEY"
  static Result<PublicKey> from_jwk(const boost::json::value& jwk);
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key);  // key is EC P-256 or P-384

  [[nodiscard]] Algorithm algorithm() const;
  [[nodiscard]] Bytes spki() const;                  // DER SubjectPublicKeyInfo
  [[nodiscard]] Bytes point() const;                 // uncompressed
  [[nodiscard]] boost::json::object jwk() const;     // kty, crv, x, y
  [[nodiscard]] std::string thumbprint() const;      // RFC 7638, base64url: the `kid` of our tokens
  [[nodiscard]] std::size_t signature_size() const;  // 64 or 96
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }
  friend bool operator==(const PublicKey& a, const PublicKey& b);

  // Verifies a JWS signature (r || s of fixed width) over message with the key's own hash. Reason "signature-invalid".
  [[nodiscard]] Result<void> verify(ByteView message, ByteView raw_signature) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

// ECDSA-Sig-Value DER <-> fixed-width r || s (RFC 7518 section 3.4). width is 64 or 96.
Result<Bytes> signature_to_der(ByteView raw_signature);
Result<Bytes> signature_from_der(ByteView der, std::size_t width);

}  // namespace avseal::tokens
