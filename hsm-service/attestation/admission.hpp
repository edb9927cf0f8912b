// The first leg of an enrolment: is this a TPM of a vendor we trust, in a device that its maker made?
#pragma once

#include <optional>

#include "attestation/device_keys.hpp"
#include "attestation/ek_certificate.hpp"
#include "attestation/manifest.hpp"
#include "attestation/trust.hpp"

namespace avseal::attestation {

// What the device says, beside its EK certificate.
struct Claim {
  std::vector<Bytes> chain;  // certificates above the EK's, DER, at most 4
  std::optional<Bytes> platform_certificate;
  std::string serial;     // of the device
  Bytes ak, key, parent;  // TPMT_PUBLIC
};

// What the store knows about the EK.
struct Known {
  bool enrolled = false;                // it had a UE certificate already
  std::optional<ManifestEntry> listed;  // its line in a manifest
  std::string maker;                    // of that manifest
};

// Which device it is, and what proves that. Empty members are not proved.
struct DeviceIdentity {
  std::optional<Binding> by;  // nothing: let through in monitor mode
  std::string maker;
  std::string model;
  std::string batch;
  std::string serial;
};

struct Admitted {
  std::string device;  // EkCertificate::device_id()
  EndorsementKey ek;
  TpmIdentity tpm;
  DeviceKeys keys;
  DeviceIdentity identity;
  bool revocation_checked = false;  // of the EK certificate
  std::vector<Error> findings;      // what mode = "enforce" would have refused
};

// Pure: for the answer, make_credential(admitted.ek, admitted.keys.ak_name, secret). Reasons of read_keys(); of
// Policy::check_vendor() and check_denials(); "ek-certificate-untrusted", "-expired", "-revoked",
// "-revocation-unknown", "-critical-extension"; "ek-key-unsupported" for a type that the policy leaves out;
// "device-not-in-manifest", "device-serial-mismatch"; and those of platform_certificate.hpp.
Result<Admitted> admit(const Claim& claim, const EkCertificate& ek, const Known& known, const Trust& trust,
                       const Policy& policy, UnixSeconds now);

}  // namespace avseal::attestation
