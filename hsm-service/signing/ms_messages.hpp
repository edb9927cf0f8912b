// The bodies of the Ms reference point in its two dialects: TS 24.229 Annex V (identityHeader, verstatValue,
// verifyResults) and ATIS-1000082 (identity, verstat, reasoncode). The avatar members are ours: neither standard has
// any.
#pragma once

#include "http/client_table.hpp"
#include "signing/verifier.hpp"

namespace avseal::signing {

// The PASSporT that a signing request asks for, without x5u: ppt avatar with an `avatar` member, div with a `div`
// member, else shaken. Checked: attest, origid, identities, ids, fingerprints (sha-256 or stronger), ueFingerprint one
// of them, dest another than div. Not checked: iat against a clock. Reasons "body-missing", "member-missing",
// "member-type", "member-unknown", "json-..." and those of the checks.
Result<tokens::Passport> parse_signing_request(std::string_view body);
boost::json::value format_signing_response(http::MsDialect dialect, std::string_view identity_header);

struct VerificationRequest {
  std::optional<std::string> identity_header;  // absent or empty in the request: absent
  CallFacts call;
};

// `to` and `dest` may be a string or an array of strings in both dialects: published samples differ.
Result<VerificationRequest> parse_verification_request(http::MsDialect dialect, std::string_view body);

// outcome: the verified PASSporT, or a verdict. ppt: "avatar" or "shaken", as far as it is known. diversions: how many
// div PASSporTs the request had.
boost::json::value format_verification_response(http::MsDialect dialect, std::string_view ppt,
                                                const Result<VerifiedPassport>& outcome, std::size_t diversions = 0);

}  // namespace avseal::signing
