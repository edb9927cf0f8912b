#pragma once

#include "attestation/policy.hpp"
#include "tokens/public_key.hpp"

namespace avseal::attestation {

// A device's attestation key and its UE key below a storage key, by their public areas. All Names are computed here.
struct DeviceKeys {
  tokens::PublicKey ak;
  Bytes ak_name;
  Bytes ak_qualified_name;  // a primary of the endorsement hierarchy
  tokens::PublicKey key;
  Bytes key_name;
  Bytes key_qualified_name;  // below the parent, a primary of the owner hierarchy
};

// From three TPMT_PUBLIC; attributes are exactly among those of the policy. Reasons "ak-malformed", "ak-attributes",
// "ak-scheme", "ak-policy", "ue-key-malformed", "ue-key-attributes", "ue-key-scheme", "ue-key-policy", "ue-key-parent".
// That the keys are what they seem is proved later: activation for the attestation key, judge() for the other.
Result<DeviceKeys> read_keys(ByteView ak, ByteView key, ByteView parent, const Policy& policy);

}  // namespace avseal::attestation
