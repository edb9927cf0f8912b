// Endorsement certificates, their CAs and a software stand-in for a TPM, each of which can be made wrong in one point.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attestation/admission.hpp"
#include "attestation/evidence.hpp"
#include "structures/attest.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"
#include "tokens/openssl.hpp"

namespace avseal::attestation::testing {

namespace ssl = tokens::ssl;

inline constexpr UnixSeconds now = 1763930000;
inline constexpr UnixSeconds day = 86400;
inline constexpr std::string_view st = "id:53544D20";

ssl::Pkey share(const ssl::Pkey& key);
ssl::Pkey make_key(std::string_view type);  // "rsa-2048" (always the same), "rsa-3072", "P-256", "P-384", ...
std::string pem_of(X509* certificate);
Bytes der_of(X509* certificate);
Bytes sign(EVP_PKEY* key, ByteView message);  // DER, SHA-256
std::string public_pem(EVP_PKEY* key);

using Names = std::vector<std::pair<std::string, std::string>>;  // OID, value

struct CertificateFields {
  std::string subject;  // empty: none
  bool ca = false;
  std::string key_usage = "critical,keyEncipherment";
  std::string extended_usage = "2.23.133.8.1";
  Names alternative_name{{"2.23.133.2.1", std::string(st)}, {"2.23.133.2.2", "ST33"}, {"2.23.133.2.3", "id:00010102"}};
  std::optional<std::string> critical_extension;  // an OID
  UnixSeconds not_before = now - day;
  UnixSeconds not_after = now + day;
  long serial = 77;
};
CertificateFields ek_fields(std::string_view key_type);
CertificateFields platform_fields();

struct Authority {
  ssl::Pkey key;
  ssl::X509Ptr certificate;

  static Authority root(const std::string& subject);
  [[nodiscard]] Authority intermediate(const std::string& subject) const;
  [[nodiscard]] ssl::X509Ptr issue(EVP_PKEY* key, const CertificateFields& fields) const;
  [[nodiscard]] std::string crl(const std::vector<long>& revoked, UnixSeconds next_update = now + day) const;
};

struct AnchorOf {
  X509* certificate;
  bool partial = false;
};
std::string anchors_json(const std::string& kind, const std::string& vendor, const std::vector<AnchorOf>& anchors,
                         const std::vector<std::string>& crls = {});

// The keys of a device as software: what a TPM would attest, signed by keys that a test holds.
class SoftwareTpm {
 public:
  SoftwareTpm();
  TPM2B_PUBLIC ak_area, key_area, parent_area;

  [[nodiscard]] Claim claim() const;                          // the three public areas, serial SN-1
  [[nodiscard]] DeviceKeys keys(const Policy& policy) const;  // as read_keys() gives them
  [[nodiscard]] Bytes request(const std::string& impu) const;
  [[nodiscard]] Bytes request_info(const std::string& impu) const;
  [[nodiscard]] Bytes sign_request(ByteView info) const;

  // A good attest of this type and qualifyingData.
  [[nodiscard]] TPMS_ATTEST certify(ByteView binding) const;
  [[nodiscard]] TPMS_ATTEST quote(ByteView binding, const PcrValues& pcrs) const;
  [[nodiscard]] SignedAttest sign_attest(const TPMS_ATTEST& attest) const;  // by the attestation key
  [[nodiscard]] SignedAttest sign_by_ue_key(const TPMS_ATTEST& attest) const;
  [[nodiscard]] EVP_PKEY* ue_key() const { return key_.get(); }

 private:
  ssl::Pkey ak_, key_, parent_;
};

Policy policy(const std::string& more = "");  // "test.toml" with binding = ["manifest"] before `more`

}  // namespace avseal::attestation::testing
