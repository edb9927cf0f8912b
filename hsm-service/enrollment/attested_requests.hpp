// Bodies of the two legs of an attested enrolment: strict parsers without I/O. docs/devices.md has the wire form.
#pragma once

#include "attestation/evidence.hpp"
#include "tokens/impu.hpp"

namespace avseal::enrollment {

inline constexpr std::size_t max_attested_body = 48 * 1024;

bool is_device_id(std::string_view text);  // 64 lower-case hex digits

struct EkClaim {
  Bytes certificate;  // DER
  std::vector<Bytes> chain;
  std::optional<Bytes> platform_certificate;
};

// The first leg. With `ek`, the attestation key is admitted by credential activation; without, it must be that of
// `device`.
struct ChallengeRequest {
  std::optional<std::string> code;
  tokens::Impu impu;
  std::optional<EkClaim> ek;
  std::string serial;  // of the device; with ek
  std::string device;  // 64 hex digits; without ek
  Bytes ak, key, parent;
};
// Reasons "json-..", "member-..", "base64-invalid", "device-id-invalid", "serial-invalid" and those of Impu::parse().
Result<ChallengeRequest> parse_challenge_request(std::string_view body);

// The second leg.
struct CertificateAnswer {
  std::optional<Bytes> secret;
  attestation::Evidence evidence;
};
Result<CertificateAnswer> parse_certificate_answer(std::string_view body);

}  // namespace avseal::enrollment
