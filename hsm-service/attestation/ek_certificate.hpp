#pragma once

#include <memory>
#include <string>

#include "attestation/policy.hpp"
#include "tokens/bytes.hpp"
#include "tokens/clock.hpp"

struct evp_pkey_st;
struct x509_st;

namespace avseal::attestation {

// The public part of an endorsement key. Its algorithms are those of the TCG template for its type, L-1, L-2 or H-3;
// a public area is never taken from the device.
struct EndorsementKey {
  EkType type;
  std::shared_ptr<evp_pkey_st> key;
};

inline constexpr std::size_t ek_certificate_max_size = 8 * 1024;

// An endorsement certificate as it was read: of the TCG's profile, but its chain not verified (admission.hpp does).
// Immutable; copies share it.
class EkCertificate {
 public:
  // Exactly one DER certificate. Reasons "ek-certificate-malformed", "ek-key-unsupported", "ek-certificate-eku",
  // "ek-certificate-key-usage", "ek-certificate-is-ca", "ek-certificate-san".
  static Result<EkCertificate> read(ByteView der);

  // Lower-case hex SHA-256 of the EK's SubjectPublicKeyInfo: what the device is known by.
  [[nodiscard]] const std::string& device_id() const;
  [[nodiscard]] const EndorsementKey& key() const;
  [[nodiscard]] const TpmIdentity& tpm() const;
  [[nodiscard]] const Bytes& der() const;
  [[nodiscard]] x509_st* native() const;

 private:
  struct Data;
  explicit EkCertificate(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace avseal::attestation
