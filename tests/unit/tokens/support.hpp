// Keys, certificates and CRLs made for a test, in memory.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"

namespace avseal::tokens::testing {

inline constexpr UnixSeconds now = 1763930000;
inline constexpr UnixSeconds day = 86400;

class SigningKey {
 public:
  explicit SigningKey(Algorithm algorithm = Algorithm::es256);
  static SigningKey from_pkcs8(std::string_view base64);

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] evp_pkey_st* native() const { return key_.get(); }
  [[nodiscard]] Bytes sign(std::string_view message) const;                  // r || s
  [[nodiscard]] std::string sign_jws(std::string_view signing_input) const;  // "H.P.S"

 private:
  explicit SigningKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)), public_key_(key_) {}
  std::shared_ptr<evp_pkey_st> key_;
  PublicKey public_key_;
};

struct CertificateOptions {
  std::string subject = "test";
  bool ca = false;
  std::string key_usage = "critical,digitalSignature";  // OpenSSL's textual forms; empty: left out
  std::string extended_key_usage;
  std::string san;
  std::vector<std::pair<std::string, Bytes>> extensions;  // OID, DER value
  bool critical_extensions = false;
  UnixSeconds not_before = now - day;
  UnixSeconds not_after = now + day;
  long serial = 4711;
};

struct Authority {
  SigningKey key;
  Certificate certificate;

  static Authority root(const std::string& subject, Algorithm algorithm = Algorithm::es256);
  [[nodiscard]] Certificate issue(const PublicKey& key, const CertificateOptions& options) const;
  [[nodiscard]] Authority intermediate(const std::string& subject) const;
  [[nodiscard]] std::string crl_pem(const std::vector<long>& revoked_serials) const;
  [[nodiscard]] TrustAnchors anchors() const { return TrustAnchors::create(certificate.pem()).value(); }
};

CertificateOptions ca_options(const std::string& subject);
CertificateOptions ue_options(const std::string& impu);

std::string base64url(std::string_view text);
std::string jws_of(std::string_view header, std::string_view payload, const SigningKey& key);
std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace avseal::tokens::testing
