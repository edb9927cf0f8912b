// What enrolment reads out of a device's record and writes into it. Pure.
#pragma once

#include "attestation/admission.hpp"
#include "attestation/evidence.hpp"
#include "store/records.hpp"

namespace avseal::enrollment {

inline constexpr const char* rolled_back_reason = "device-rolled-back";
inline constexpr const char* approval_reason = "device-approval-pending";

// Serial numbers outside the archive: hex SHA-256 over device id and serial, so that no table of digests fits all.
std::string serial_digest(std::string_view device, std::string_view serial);

// What the manifest says, as far as the store keeps it: the serial number's digest, which fits the claimed one or not.
attestation::Known known_of(const std::optional<store::ManifestDevice>& listed, const std::string& claimed_serial,
                            bool enrolled);

std::string tpm_text(const attestation::TpmIdentity& tpm);  // "id:53544D20 id:00010102 ST33HTPHAHD4"
attestation::TpmIdentity tpm_of(std::string_view text);
std::string firmware_of(const attestation::Counters& counters);

// May it enrol? Nothing: it is new. Reasons "device-revoked", "device-approval-pending", "device-cloned".
Result<void> check_state(const std::optional<store::Device>& device);
Error approval_pending();

// Reasons "device-ak-unknown", "device-ak-expired".
Result<void> check_attestation_key(const store::Device& device, const attestation::DeviceKeys& keys,
                                   const attestation::Policy& policy, UnixSeconds now);

// The record as it will be once the device is enrolled.
store::Device device_of(const attestation::Admitted& admitted, const std::optional<store::Device>& earlier,
                        UnixSeconds now);

// Whether both attestations follow what was seen before. Reason "device-rolled-back".
Result<void> check_life(const store::TpmLife& before, const attestation::Verdict& verdict);
store::TpmLife life_of(const attestation::Counters& counters);

}  // namespace avseal::enrollment
