#include "attestation/admission.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "attestation/platform_certificate.hpp"
#include "attestation/refused.hpp"

namespace avseal::attestation {

namespace {

bool allows(const Policy& policy, Binding binding) {
  return std::find(policy.binding.begin(), policy.binding.end(), binding) != policy.binding.end();
}

Result<void> check_type(EkType type, const Policy& policy) {
  if (std::find(policy.ek_types.begin(), policy.ek_types.end(), type) != policy.ek_types.end()) return {};
  return refused("ek-key-unsupported",
                 fmt::format("the profile \"{}\" admits no EK of type {}", policy.name, to_string(type)));
}

Result<void> check_serial(const std::string& claimed, const std::string& proved, std::string_view by) {
  if (proved.empty() || proved == claimed) return {};
  return refused("device-serial-mismatch", fmt::format("expected the device serial of the {}, found another", by));
}

ChainOptions chain_options(const Known& known, const Policy& policy) {
  return {policy.expired_once_enrolled && known.enrolled, policy.revocation_required};
}

// What binds the TPM to a device that its maker made: the manifest first.
Result<DeviceIdentity> identify(const Claim& claim, const EkCertificate& ek, const Known& known, const Trust& trust,
                                const Policy& policy, Findings& findings, UnixSeconds now) {
  if (known.listed && allows(policy, Binding::manifest)) {
    AVSEAL_CHECK(findings.judge(check_serial(claim.serial, known.listed->serial, "manifest")));
    return DeviceIdentity{Binding::manifest, known.maker, known.listed->model, known.listed->batch,
                          known.listed->serial};
  }
  if (claim.platform_certificate && allows(policy, Binding::platform_certificate) && trust.platform) {
    AVSEAL_TRY(PlatformIdentity platform,
               verify_platform_certificate(*claim.platform_certificate, ek, claim.chain, *trust.platform,
                                           chain_options(known, policy), now));
    AVSEAL_CHECK(findings.judge(check_serial(claim.serial, platform.serial, "platform certificate")));
    return DeviceIdentity{Binding::platform_certificate,
                          std::move(platform.manufacturer),
                          std::move(platform.model),
                          {},
                          std::move(platform.serial)};
  }
  AVSEAL_CHECK(findings.judge(
      refused("device-not-in-manifest",
              "the TPM is genuine, but no manifest has its EK, and no platform certificate that the profile admits "
              "was given; a device that its maker did not name is not ours")));
  return DeviceIdentity{};
}

}  // namespace

Result<Admitted> admit(const Claim& claim, const EkCertificate& ek, const Known& known, const Trust& trust,
                       const Policy& policy, UnixSeconds now) {
  Findings findings(policy.mode);
  AVSEAL_TRY(DeviceKeys keys, read_keys(claim.ak, claim.key, claim.parent, policy));
  AVSEAL_CHECK(check_type(ek.key().type, policy));
  AVSEAL_CHECK(policy.check_vendor(ek.tpm()));
  AVSEAL_CHECK(findings.judge(policy.check_denials(ek.tpm())));
  AVSEAL_TRY(const ChainFacts chain,
             trust.ek.verify(ek.tpm().vendor, ek.native(), claim.chain, chain_options(known, policy), now));
  AVSEAL_TRY(DeviceIdentity identity, identify(claim, ek, known, trust, policy, findings, now));
  return Admitted{ek.device_id(),           ek.key(),      ek.tpm(), std::move(keys), std::move(identity),
                  chain.revocation_checked, findings.all()};
}

}  // namespace avseal::attestation
