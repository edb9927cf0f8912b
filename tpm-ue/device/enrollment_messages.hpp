// The JSON bodies of the enrollment protocol: strict parsers and builders, without TPM and I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tokens/impu.hpp"
#include "tpm/attestation.hpp"

namespace avseal::device {

inline constexpr std::size_t enrollment_body_max = 48 * 1024;

// POST /enrollment/v1/challenges. With `ek` an enrollment, with `device` a renewal.
struct ChallengeRequest {
  std::string impu;
  Bytes ak;      // TPMT_PUBLIC
  Bytes key;     // TPMT_PUBLIC
  Bytes parent;  // TPMT_PUBLIC
  struct Endorsement {
    std::string code;    // empty: none
    std::string serial;  // empty: none
    Bytes certificate;
    std::vector<Bytes> chain;
    std::optional<Bytes> platform_certificate;
  };
  std::optional<Endorsement> ek;
  std::string device;
};
std::string render(const ChallengeRequest& request);

struct Challenge {
  std::string id;  // base64url of 16 bytes, as it was sent
  Bytes nonce;     // 32 bytes
  std::string server;
  std::int64_t expires = 0;
  std::optional<tpm::Credential> credential;
  std::vector<std::uint32_t> pcrs;  // empty: no quote is wanted
};
// Reasons of json.hpp, or "enrollment-answer-malformed".
Result<Challenge> parse_challenge(std::string_view body);

// POST /enrollment/v1/challenges/{id}/certificate.
struct CertificateDemand {
  std::optional<Secret> secret;
  Bytes csr;
  tpm::Attestation certify;
  std::optional<tpm::Quote> quote;
};
std::string render(const CertificateDemand& demand);

struct IssuedCertificate {
  std::string chain;   // PEM, the UE certificate first
  std::string device;  // 64 hex digits
  std::int64_t renew_after = 0;
};
// Reasons of json.hpp, or "enrollment-answer-malformed".
Result<IssuedCertificate> parse_issued(std::string_view body);

}  // namespace avseal::device
