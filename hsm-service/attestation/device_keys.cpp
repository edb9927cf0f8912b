#include "attestation/device_keys.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "attestation/refused.hpp"
#include "structures/public_area.hpp"
#include "structures/templates.hpp"

namespace avseal::attestation {

namespace {

std::string masks_text(const std::vector<std::uint32_t>& masks) {
  std::string text;
  for (const std::uint32_t mask : masks) text += fmt::format("{}0x{:X}", text.empty() ? "" : " or ", mask);
  return text;
}

// Where one kind of key is refused, by what of it.
struct Reasons {
  std::string_view what, malformed, attributes, scheme, policy;
};
constexpr Reasons ak_reasons{"attestation key", "ak-malformed", "ak-attributes", "ak-scheme", "ak-policy"};
constexpr Reasons key_reasons{"UE key", "ue-key-malformed", "ue-key-attributes", "ue-key-scheme", "ue-key-policy"};
constexpr Reasons parent_reasons{"UE key's parent", "ue-key-malformed", "ue-key-parent", "ue-key-parent",
                                 "ue-key-parent"};

// A P-256 key with exactly the template's algorithms, empty policy, and one of the masks.
Result<TPMT_PUBLIC> read_area(ByteView bytes, const Reasons& reasons, TPM2B_PUBLIC wanted,
                              const std::vector<std::uint32_t>& masks) {
  auto area = tpm::unmarshal_public(bytes);
  if (!area) return refused(reasons.malformed, fmt::format("{}: {}", reasons.what, area.error().detail));
  if (std::find(masks.begin(), masks.end(), area->objectAttributes) == masks.end()) {
    return refused(reasons.attributes, fmt::format("{}: expected attributes {}, found 0x{:X}", reasons.what,
                                                   masks_text(masks), area->objectAttributes));
  }
  if (area->authPolicy.size != 0) {
    return refused(reasons.policy, fmt::format("{}: expected no policy, found one", reasons.what));
  }
  wanted.publicArea.objectAttributes = area->objectAttributes;
  if (!tpm::matches_template({.size = 0, .publicArea = *area}, wanted)) {
    return refused(
        reasons.scheme,
        fmt::format("{}: expected P-256, nameAlg SHA-256 and the schemes of our template, found others", reasons.what));
  }
  return std::move(*area);
}

Result<tokens::PublicKey> point_of(const TPMT_PUBLIC& area, const Reasons& reasons) {
  auto key = tpm::public_key_of(area);
  if (!key) return refused(reasons.malformed, fmt::format("{}: {}", reasons.what, key.error().detail));
  return std::move(*key);
}

Result<Bytes> primary_name(TPM2_HANDLE hierarchy, ByteView name) {
  return tpm::qualified_name(tpm::hierarchy_name(hierarchy), name);
}

}  // namespace

Result<DeviceKeys> read_keys(ByteView ak, ByteView key, ByteView parent, const Policy& policy) {
  AVSEAL_TRY(const TPMT_PUBLIC ak_area, read_area(ak, ak_reasons, tpm::ak_template({}), policy.ak_attributes));
  AVSEAL_TRY(const TPMT_PUBLIC key_area, read_area(key, key_reasons, tpm::ue_key_template(), policy.key_attributes));
  AVSEAL_TRY(const TPMT_PUBLIC parent_area,
             read_area(parent, parent_reasons, tpm::srk_template(), policy.parent_attributes));
  AVSEAL_TRY(auto ak_key, point_of(ak_area, ak_reasons));
  AVSEAL_TRY(auto ue_key, point_of(key_area, key_reasons));
  AVSEAL_TRY(Bytes ak_name, tpm::name_of(ak_area));
  AVSEAL_TRY(Bytes ak_qualified, primary_name(TPM2_RH_ENDORSEMENT, ak_name));
  AVSEAL_TRY(Bytes key_name, tpm::name_of(key_area));
  AVSEAL_TRY(const Bytes parent_name, tpm::name_of(parent_area));
  AVSEAL_TRY(const Bytes parent_qualified, primary_name(TPM2_RH_OWNER, parent_name));
  AVSEAL_TRY(Bytes key_qualified, tpm::qualified_name(parent_qualified, key_name));
  return DeviceKeys{std::move(ak_key), std::move(ak_name),  std::move(ak_qualified),
                    std::move(ue_key), std::move(key_name), std::move(key_qualified)};
}

}  // namespace avseal::attestation
