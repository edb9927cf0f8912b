#pragma once

#include <string>

#include "tokens/result.hpp"

namespace avseal::tokens {

// A SIP Identity header value (RFC 8224 section 4), full form only.
struct IdentityHeader {
  std::string passport;  // compact JWS
  std::string info;      // URI without angle brackets
  std::string alg;       // "ES256" if absent
  std::string ppt;       // bare or quoted in the header; empty if absent
};

// Accepts base64url and folding whitespace around ';', bare and quoted ppt, unknown generic parameters; at most 16 KiB.
// Reason "identity-header-malformed"; "identity-compact-form" for the compact form.
Result<IdentityHeader> parse_identity_header(std::string_view value);

// <H>.<P>.<S>;info=<uri>;alg=ES256;ppt="avatar"
std::string format_identity_header(const IdentityHeader& header);

}  // namespace avseal::tokens
