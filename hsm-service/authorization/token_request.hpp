// The two forms of a token request, and what they have in common.
#pragma once

#include <map>

#include "authorization/config.hpp"
#include "http/message.hpp"

namespace avseal::authorization {

struct TokenRequest {
  std::string scope;             // as asked for; it goes into the token unchanged
  std::string signed_avatar_id;  // Identity header value
  std::string ue_token;
  std::string application_id;
  std::string digest;  // base64url SHA-256 of path and body: tells a repetition from another request
};

// application/x-www-form-urlencoded, each name once, at most 32 members. Reason "form-malformed".
Result<std::map<std::string, std::string>> parse_form(std::string_view body);

// POST /oauth2/token: TS 29.510 AccessTokenReq with signed_avatar_id, ue_token and application_id. nfInstanceId must be
// that of the client's certificate. Reasons "unsupported-grant-type", "form-member-missing", "nf-instance-mismatch",
// "scope-invalid", "target-invalid".
Result<TokenRequest> parse_nrf_request(const http::Request& request, const Config& config);

// POST /capif-security/v1/securities/{securityId}/token: TS 29.222 AccessTokenReq with the same three members; scope
// 3gpp#<aefId>:<apiName>. Also "client-id-mismatch", "security-id-unknown", "capif-off".
Result<TokenRequest> parse_capif_request(const http::Request& request, const Config& config);

// AccessTokenErr (RFC 6749 section 5.2) with Cache-Control: no-store; failures of ours (5xx) are problems.
http::Response nrf_error(const http::Request& request, const Error& error);
http::Response capif_error(const http::Request& request, const Error& error);

}  // namespace avseal::authorization
