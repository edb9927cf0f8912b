#include "enrollment/device_facts.hpp"

#include "structures/attest.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::enrollment {

std::string serial_digest(std::string_view device, std::string_view serial) {
  return tokens::hex_encode(tokens::sha256(as_bytes(std::string(device) + "\n" + std::string(serial))));
}

attestation::Known known_of(const std::optional<store::ManifestDevice>& listed, const std::string& claimed_serial,
                            bool enrolled) {
  attestation::Known out{.enrolled = enrolled, .listed = {}, .maker = {}};
  if (!listed) return out;
  const bool fits = listed->serial_sha256 == serial_digest(listed->id, claimed_serial);
  const bool none = listed->serial_sha256 == serial_digest(listed->id, {});
  // Longer than any serial number that can be claimed.
  const std::string serial = fits ? claimed_serial : none ? std::string() : "sha256 " + listed->serial_sha256;
  out.listed = attestation::ManifestEntry{listed->id, serial, listed->model, listed->batch};
  out.maker = listed->maker;
  return out;
}

// Vendor and version have no spaces.
std::string tpm_text(const attestation::TpmIdentity& tpm) {
  return tpm.vendor + " " + tpm.version + " " + tpm.model;
}

attestation::TpmIdentity tpm_of(std::string_view text) {
  const auto first = text.find(' ');
  const auto second = first == std::string_view::npos ? first : text.find(' ', first + 1);
  if (second == std::string_view::npos) return {};
  return {std::string(text.substr(0, first)), std::string(text.substr(second + 1)),
          std::string(text.substr(first + 1, second - first - 1))};
}

std::string firmware_of(const attestation::Counters& counters) {
  return tpm::firmware_text(counters.firmware);
}

Error approval_pending() {
  return errors::make(Category::forbidden, approval_reason,
                      "this device waits for an operator's approval; the enrolment code stays good meanwhile");
}

Result<void> check_state(const std::optional<store::Device>& device) {
  if (!device || device->state == store::DeviceState::active) return {};
  if (device->state == store::DeviceState::revoked) {
    return errors::make(Category::forbidden, "device-revoked", "the operator revoked this device");
  }
  if (device->why == "device-cloned") {
    return errors::make(Category::forbidden, "device-cloned",
                        "two devices claim to be this one; an operator must look at them");
  }
  return approval_pending();
}

Result<void> check_attestation_key(const store::Device& device, const attestation::DeviceKeys& keys,
                                   const attestation::Policy& policy, UnixSeconds now) {
  if (device.ak_name != tokens::hex_encode(keys.ak_name)) {
    return errors::make(Category::forbidden, "device-ak-unknown",
                        "the device is enrolled with another attestation key; enrol again");
  }
  if (now - device.ak_since > policy.ak_max_age) {
    return errors::make(Category::forbidden, "device-ak-expired",
                        "the attestation key is too old; prove it anew with the EK certificate");
  }
  return {};
}

store::Device device_of(const attestation::Admitted& admitted, const std::optional<store::Device>& earlier,
                        UnixSeconds now) {
  auto device = earlier.value_or(store::Device{});
  device.id = admitted.device;
  device.serial_sha256 = serial_digest(admitted.device, admitted.identity.serial);
  device.maker = admitted.identity.maker;
  device.model = admitted.identity.model;
  device.batch = admitted.identity.batch;
  device.tpm = tpm_text(admitted.tpm);
  device.ak_name = tokens::hex_encode(admitted.keys.ak_name);
  device.ak_since = now;  // proved anew
  if (!earlier) device.first_seen = now;
  device.last_seen = now;
  return device;
}

Result<void> check_life(const store::TpmLife& before, const attestation::Verdict& verdict) {
  if (before.reset_count >= 0) {
    attestation::Counters earlier;
    earlier.resets = static_cast<std::uint32_t>(before.reset_count);
    earlier.restarts = static_cast<std::uint32_t>(before.restart_count);
    earlier.clock = static_cast<std::uint64_t>(before.clock);
    AVSEAL_CHECK(attestation::check_progress(earlier, verdict.first));
  }
  return attestation::check_progress(verdict.first, verdict.last);
}

store::TpmLife life_of(const attestation::Counters& counters) {
  return {std::int64_t{counters.resets}, std::int64_t{counters.restarts}, static_cast<std::int64_t>(counters.clock)};
}

}  // namespace avseal::enrollment
