#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tokens/clock.hpp"
#include "tokens/fingerprint.hpp"
#include "tokens/public_key.hpp"

struct x509_st;
struct x509_store_st;

namespace avseal::tokens {

// Our extended key usage of UE certificates; every verifier of another kind refuses a certificate that has it.
// Under the UUID arc (ITU-T X.667), which needs no registration.
inline constexpr std::string_view ue_eku_oid = "2.25.181263912817466153470291734926715501337";

// RFC 8226 TNAuthList entries that matter for authority over a number.
struct TnRange {
  std::string start;       // digits
  std::int64_t count = 1;  // 1: exactly `start`
  [[nodiscard]] bool contains(std::string_view tn) const;
};

// An immutable X.509 certificate with an EC P-256 or P-384 key. Copies share it.
class Certificate {
 public:
  static Result<Certificate> from_der(ByteView der);                             // no trailing bytes
  static Result<Certificate> from_pem(std::string_view pem);                     // the first certificate
  static Result<std::vector<Certificate>> chain_from_pem(std::string_view pem);  // leaf first, at most 8
  static Result<Certificate> from_native(x509_st* certificate);                  // takes a reference

  [[nodiscard]] const Bytes& der() const;
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] Fingerprint fingerprint() const;  // SHA-256
  [[nodiscard]] std::string sha256_hex() const;   // lower case: the name in /certs/{sha256}.pem
  [[nodiscard]] const PublicKey& public_key() const;
  [[nodiscard]] const std::vector<std::string>& san_uris() const;
  [[nodiscard]] const std::vector<std::string>& san_dns() const;
  [[nodiscard]] const std::vector<TnRange>& tn_auth_list() const;
  [[nodiscard]] std::string subject() const;  // RFC 2253 text
  [[nodiscard]] std::string issuer() const;
  [[nodiscard]] std::string serial_hex() const;
  [[nodiscard]] UnixSeconds not_before() const;
  [[nodiscard]] UnixSeconds not_after() const;
  [[nodiscard]] bool valid_at(UnixSeconds t) const { return not_before() <= t && t <= not_after(); }
  [[nodiscard]] bool is_ca() const;
  [[nodiscard]] bool has_digital_signature() const;  // keyUsage present with digitalSignature
  [[nodiscard]] bool has_ue_eku() const;
  [[nodiscard]] x509_st* native() const;

 private:
  struct Data;
  explicit Certificate(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

// What the certificate of an operator's signer must be: no CA, with key usage digitalSignature, no UE certificate.
// Reasons "certificate-is-ca", "certificate-key-usage", "certificate-of-ue".
Result<void> check_signer_usage(const Certificate& certificate);

// One of the anchor sets that never mix: stir, ue, tls, ek.
class TrustAnchors {
 public:
  // pem: self-signed CA certificates of any key type, and intermediate ones below them, which only complete chains;
  // crl_pem: CRLs of those CAs or empty.
  // With CRLs, the leaf's issuer must have one. Reason "trust-anchors-invalid".
  static Result<TrustAnchors> create(std::string_view pem, std::string_view crl_pem = {});

  // Chain, validity and CRLs at time t. Reasons "certificate-untrusted", "certificate-expired", "certificate-revoked".
  [[nodiscard]] Result<void> verify(const Certificate& leaf, std::span<const Certificate> intermediates,
                                    UnixSeconds t) const;
  [[nodiscard]] std::string pem() const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace avseal::tokens
