// Access tokens at the DAC (design section 6, "Access token"): who may read which avatar.
#pragma once

#include "dac/config.hpp"
#include "http/message.hpp"
#include "tokens/access_token.hpp"

namespace avseal::dac {

// The token of Authorization: Bearer, checked in this order: issuer and key id, signature, audience, expiry, binding to
// the TLS client certificate, subject (which is also the client's NF instance), scope, Avatar-id, operation "read".
// Reasons are those of tokens/access_token.hpp, and "access-token-missing", "authorization-malformed",
// "client-nf-instance".
Result<tokens::AccessTokenClaims> check_bearer(const Config& config, const http::Request& request,
                                               std::string_view avatar_id, UnixSeconds now);

// "access-token-version": the token was granted for a version that this DAC has not got (yet, or any more).
Error token_ahead(std::int64_t token_version, std::int64_t current);

// The problem with WWW-Authenticate (RFC 6750 section 3): no `error` attribute when no token was presented.
http::Response challenge(const Config& config, const http::Request& request, const Error& error);

}  // namespace avseal::dac
