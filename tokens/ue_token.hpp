#pragma once

#include "tokens/certificate.hpp"
#include "tokens/impu.hpp"
#include "tokens/jws.hpp"

namespace avseal::tokens {

inline constexpr std::string_view ue_token_typ = "avatar-ue+jwt";
inline constexpr std::int64_t ue_token_max_lifetime = 120;  // seconds

struct UeTokenClaims {
  std::string aud;  // XR AS id
  std::string app;
  std::string avatar_id;
  UnixSeconds iat = 0;
  UnixSeconds exp = 0;
  std::string jti;  // base64url of 16 random bytes
  Impu sub;
};

// "H.P" for the UE's TPM to sign.
Result<std::string> build_ue_token(const UeTokenClaims& claims, const Certificate& leaf);

struct UeToken {
  UeTokenClaims claims;
  Certificate leaf;              // from x5c
  Fingerprint leaf_fingerprint;  // x5t#S256, equal to the digest of leaf
  Jws jws;
};

// typ, x5c and x5t#S256 agree, claims well-formed. Not checked here: the signature, trust in the leaf, time, audience.
// Reasons "ue-token-malformed", "ue-token-type", "ue-token-certificate-mismatch", "signature-invalid".
Result<UeToken> parse_ue_token(std::string_view compact);
Result<void> verify_ue_token_signature(const UeToken& token);

// Lifetime <= 120 s, not expired, not from the future (leeway both ways). Reasons "ue-token-lifetime",
// "ue-token-expired", "ue-token-future".
Result<void> check_ue_token_time(const UeTokenClaims& claims, UnixSeconds now, std::int64_t leeway = 5);

}  // namespace avseal::tokens
