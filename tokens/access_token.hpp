#pragma once

#include <optional>

#include "tokens/certificate.hpp"
#include "tokens/clock.hpp"
#include "tokens/jws.hpp"

namespace avseal::tokens {

inline constexpr std::string_view access_token_typ = "at+jwt";
inline constexpr std::int64_t access_token_max_lifetime = 300;  // seconds: 3GPP has no revocation

// TS 29.510 AccessTokenClaims with RFC 9068, RFC 8705 and the avatar members.
struct AccessTokenClaims {
  std::vector<std::string> aud;  // DAC instance uuids
  std::string app;
  std::string dac;  // uuid
  std::string avatar_id;
  std::vector<std::string> ops;  // "read"
  std::int64_t version = 0;      // avatar version at the time of the grant
  std::string client_id;
  std::string cnf_x5t;  // x5t#S256 of the client's TLS certificate
  UnixSeconds iat = 0;
  UnixSeconds exp = 0;
  std::string iss;  // uuid
  std::string jti;
  std::string scope;
  std::string sub;  // XR AS NF instance uuid
};

Result<std::string> build_access_token(const AccessTokenClaims& claims,
                                       const PublicKey& signer);  // "H.P"; kid = thumbprint

struct AccessToken {
  AccessTokenClaims claims;
  std::string kid;
  Jws jws;
};

// typ, kid and claims; not the signature. Reasons "access-token-malformed", "access-token-type".
Result<AccessToken> parse_access_token(std::string_view compact);

// What the DAC expects of the bearer. Empty optional members are not checked.
struct AccessTokenExpectation {
  std::string issuer;
  std::string audience;  // this DAC's uuid
  std::string scope;
  std::string avatar_id;
  std::string operation;
  std::string client_x5t;             // of the TLS client certificate
  std::string client_nf_instance_id;  // SAN urn:uuid: of the TLS client certificate
};

// Signature, issuer, aud, exp (leeway <= 30 s, TS 33.122 C.2.2), lifetime, cnf, sub, scope, avatar, operation, in this
// order. Reasons "access-token-issuer", "signature-invalid", "access-token-audience", "access-token-expired",
// "access-token-lifetime", "access-token-binding", "access-token-subject", "access-token-scope", "access-token-avatar",
// "access-token-operation".
Result<void> verify_access_token(const AccessToken& token, const PublicKey& issuer_key,
                                 const AccessTokenExpectation& expected, UnixSeconds now, std::int64_t leeway = 5);

}  // namespace avseal::tokens
