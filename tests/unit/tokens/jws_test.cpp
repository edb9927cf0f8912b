#include "tokens/jws.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "support.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

using testing::base64url;
using testing::jws_of;
using testing::SigningKey;

// RFC 7515 appendix A.3.
constexpr std::string_view rfc7515 =
    "eyJhbGciOiJFUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
constexpr std::string_view rfc7515_key =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";

PublicKey key_of(std::string_view jwk) {
  return PublicKey::from_jwk(parse_json(jwk).value()).value();
}

std::string_view reason_of(std::string_view compact) {
  const auto jws = parse_jws(compact);
  return jws ? "ok" : jws.error().reason;
}

std::string_view verdict(std::string_view compact, const PublicKey& key) {
  const auto jws = parse_jws(compact);
  if (!jws) return jws.error().reason;
  const auto verified = verify_jws(*jws, key);
  return verified ? "ok" : verified.error().reason;
}

TEST(Jws, RFC_7515_A_3_verifies) {
  const auto jws = parse_jws(rfc7515).value();
  EXPECT_EQ(jws.payload_text, "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
  EXPECT_EQ(jws.signing_input, rfc7515.substr(0, rfc7515.rfind('.')));
  EXPECT_EQ(verdict(rfc7515, key_of(rfc7515_key)), "ok");
}

TEST(Jws, one_bit_altered_anywhere_fails) {
  const PublicKey key = key_of(rfc7515_key);
  auto jws = parse_jws(rfc7515).value();
  for (std::size_t i = 0; i < jws.signature.size(); i += 7) {
    auto altered = jws;
    altered.signature[i] ^= 1U;
    EXPECT_EQ(verify_jws(altered, key).error().reason, "signature-invalid") << i;
  }
  jws.signing_input[30] = jws.signing_input[30] == 'A' ? 'B' : 'A';
  EXPECT_EQ(verify_jws(jws, key).error().reason, "signature-invalid");
}

TEST(Jws, other_key_fails) {
  EXPECT_EQ(verdict(rfc7515, SigningKey().public_key()), "signature-invalid");
}

TEST(Jws, algorithm_comes_from_the_key) {
  const SigningKey key;
  const SigningKey large(Algorithm::es384);
  EXPECT_EQ(verdict(jws_of(R"({"alg":"ES256"})", "{}", key), key.public_key()), "ok");
  EXPECT_EQ(verdict(jws_of(R"({"alg":"ES384"})", "{}", large), large.public_key()), "ok");
  EXPECT_EQ(verdict(jws_of(R"({"alg":"ES384"})", "{}", key), key.public_key()), "algorithm-mismatch");
  EXPECT_EQ(verdict(jws_of(R"({"alg":"HS256"})", "{}", key), key.public_key()), "algorithm-mismatch");
  EXPECT_EQ(verdict(jws_of(R"({"alg":"none"})", "{}", key), key.public_key()), "algorithm-mismatch");
  EXPECT_EQ(verdict(jws_of(R"({"alg":"es256"})", "{}", key), key.public_key()), "algorithm-mismatch");
}

TEST(Jws, hmac_with_the_public_key_as_secret_is_refused) {
  const SigningKey key;
  const std::string input = base64url(R"({"alg":"HS256"})") + "." + base64url("{}");
  const Bytes secret = key.public_key().spki();
  const auto mac = hmac_sha256(secret, as_bytes(input));
  EXPECT_EQ(verdict(jws_assemble(input, mac), key.public_key()), "algorithm-mismatch");
}

TEST(Jws, signature_has_its_exact_width) {
  const SigningKey key;
  const std::string input = base64url(R"({"alg":"ES256"})") + "." + base64url("{}");
  Bytes signature = key.sign(input);
  EXPECT_EQ(verdict(jws_assemble(input, signature_to_der(signature).value()), key.public_key()), "signature-invalid");
  signature.push_back(0);
  EXPECT_EQ(verdict(jws_assemble(input, signature), key.public_key()), "signature-invalid");
  EXPECT_EQ(verdict(jws_assemble(input, Bytes(64, 0)), key.public_key()), "signature-invalid");
  EXPECT_EQ(verdict(jws_assemble(input, Bytes(64, 0xFF)), key.public_key()), "signature-invalid");
}

TEST(Jws, refuses_other_shapes) {
  const std::string h = base64url(R"({"alg":"ES256"})");
  const std::string p = base64url("{}");
  EXPECT_EQ(reason_of(h + "." + p + ".AA"), "ok");
  for (const std::string& text : {std::string(),
                                  h,
                                  h + "." + p,
                                  h + "." + p + ".",
                                  "." + p + ".AA",
                                  h + "..AA",
                                  h + "." + p + ".AA.",
                                  std::string(".."),
                                  std::string("..."),
                                  h + "." + p + ".AA.AA",
                                  h + "=." + p + ".AA",
                                  h + "." + p + ".A",
                                  h + "." + p + ".AB",
                                  " " + h + "." + p + ".AA",
                                  h + "." + p + ".AA\n",
                                  h + "." + p + ".A+",
                                  base64url("[]") + "." + p + ".AA",
                                  base64url("{}") + "." + p + ".AA",
                                  base64url(R"({"alg":1})") + "." + p + ".AA",
                                  base64url(R"({"alg":"ES256","alg":"ES256"})") + "." + p + ".AA",
                                  h + "." + base64url(R"({"a":1,"a":2})") + ".AA",
                                  h + "." + base64url("text") + ".AA"}) {
    EXPECT_EQ(reason_of(text), "jws-malformed") << text;
  }
}

TEST(Jws, refuses_crit_b64_and_embedded_keys) {
  for (const char* member : {R"("crit":["exp"])", R"("b64":false)", R"("jwk":{})"}) {
    const std::string h = base64url(R"({"alg":"ES256",)" + std::string(member) + "}");
    EXPECT_EQ(reason_of(h + "." + base64url("{}") + ".AA"), "jws-malformed") << member;
  }
}

TEST(Jws, bounds_size_and_depth) {
  const std::string h = base64url(R"({"alg":"ES256"})");
  EXPECT_EQ(reason_of(h + "." + base64url('"' + std::string(20000, 'x') + '"') + ".AA"), "jws-too-large");
  EXPECT_EQ(reason_of(h + "." + base64url(std::string(100, '[') + std::string(100, ']')) + ".AA"), "jws-malformed");
}

TEST(Jws, signing_input_is_canonical) {
  const json::object header{{"typ", "t"}, {"alg", "ES256"}};
  EXPECT_EQ(jws_signing_input(header, {{"b", 1}, {"a", json::array{1, 2}}}),
            base64url(R"({"alg":"ES256","typ":"t"})") + "." + base64url(R"({"a":[1,2],"b":1})"));
}

// RFC 9449 figure 2: the key of the DPoP proof and section 6.1's jkt.
TEST(PublicKeyType, thumbprint_of_RFC_9449) {
  const PublicKey key = key_of(
      R"({"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"})");
  EXPECT_EQ(key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

TEST(PublicKeyType, survives_each_form) {
  for (const Algorithm algorithm : {Algorithm::es256, Algorithm::es384}) {
    const PublicKey key = SigningKey(algorithm).public_key();
    EXPECT_EQ(key.algorithm(), algorithm);
    EXPECT_EQ(PublicKey::from_spki(key.spki()).value(), key);
    EXPECT_EQ(PublicKey::from_point(key.point()).value(), key);
    EXPECT_EQ(PublicKey::from_jwk(json::value(key.jwk())).value(), key);
    EXPECT_EQ(PublicKey::from_point(key.point()).value().spki(), key.spki());
    const std::string pem = "-----BEGIN PUBLIC KEY-----\n" + base64_encode(key.spki()) + "\n-----END PUBLIC KEY-----\n";
    EXPECT_EQ(PublicKey::from_pem(pem).value(), key);
    EXPECT_FALSE(SigningKey(algorithm).public_key() == key);
  }
}

TEST(PublicKeyType, refuses_points_off_the_curve) {
  Bytes point = SigningKey().public_key().point();
  point.back() ^= 1U;
  EXPECT_EQ(PublicKey::from_point(point).error().reason, "public-key-invalid");
  EXPECT_FALSE(PublicKey::from_point({}));
  EXPECT_FALSE(PublicKey::from_point(Bytes(65, 0)));
  EXPECT_FALSE(PublicKey::from_point(Bytes{0x00}));
  Bytes spki = SigningKey().public_key().spki();
  spki.back() ^= 1U;
  EXPECT_FALSE(PublicKey::from_spki(spki));
}

TEST(PublicKeyType, refuses_other_keys_and_trailing_bytes) {
  Bytes spki = SigningKey().public_key().spki();
  spki.push_back(0);
  EXPECT_EQ(PublicKey::from_spki(spki).error().reason, "public-key-invalid");
  for (const auto& [type, curve] : {std::pair{"EC", "P-521"}, {"EC", "secp256k1"}}) {
    const ssl::Pkey other(EVP_PKEY_Q_keygen(nullptr, nullptr, type, curve));
    EXPECT_FALSE(PublicKey::from_spki(ssl::to_der<const EVP_PKEY>(i2d_PUBKEY, other.get()))) << curve;
  }
  const ssl::Pkey ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_FALSE(PublicKey::from_spki(ssl::to_der<const EVP_PKEY>(i2d_PUBKEY, ed25519.get())));
  EXPECT_FALSE(PublicKey::from_pem(""));
  EXPECT_FALSE(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
  EXPECT_EQ(ERR_peek_error(), 0U) << "errors left on OpenSSL's queue";
}

TEST(PublicKeyType, refuses_other_jwks) {
  const std::string good(rfc7515_key);
  EXPECT_TRUE(PublicKey::from_jwk(parse_json(good).value()));
  for (const auto& [from, to] : {std::pair{"EC", "OKP"},
                                 {"P-256", "P-384"},
                                 {"P-256", "P-521"},
                                 {"f83O", "F83O"},
                                 {"f83O", "="},
                                 {"\"kty\"", "\"d\":\"AA\",\"kty\""},
                                 {"\"kty\"", "\"alg\":\"ES384\",\"kty\""},
                                 {"\"x\"", "\"z\""}}) {
    EXPECT_FALSE(PublicKey::from_jwk(parse_json(testing::replaced(good, from, to)).value())) << to;
  }
  EXPECT_FALSE(PublicKey::from_jwk(json::value("text")));
}

TEST(SignatureForms, convert_both_ways) {
  Bytes raw(64, 0);
  raw[31] = 1;
  raw[63] = 0x80;
  const Bytes der = signature_to_der(raw).value();
  EXPECT_EQ(hex_encode(der),
            "3007020101020200"
            "80");
  EXPECT_EQ(signature_from_der(der, 64).value(), raw);
  EXPECT_EQ(signature_from_der(der, 96).value().size(), 96U);
}

TEST(SignatureForms, refuse_what_does_not_fit) {
  const Bytes wide = signature_to_der(Bytes(96, 0x11)).value();
  EXPECT_FALSE(signature_from_der(wide, 64));
  Bytes trailing = signature_to_der(Bytes(64, 0x11)).value();
  trailing.push_back(0);
  EXPECT_FALSE(signature_from_der(trailing, 64));
  EXPECT_FALSE(signature_from_der(hex_decode("3006020101020180").value(), 64)) << "negative";
  EXPECT_FALSE(signature_from_der({}, 64));
  EXPECT_FALSE(signature_to_der(Bytes(63, 0x11)));
}

}  // namespace
}  // namespace avseal::tokens
