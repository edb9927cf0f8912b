#pragma once

#include <initializer_list>

#include "tokens/passport.hpp"

namespace avseal::signing {

// A verdict on what came in an Identity header: an Error of category `invalid`.
Error verdict(std::string_view reason, std::string detail);
Error as_verdict(const Error& error);

// Step 1 of a verification: an Identity header value, whose parameters must say what its PASSporT says. Verdicts of
// parse_identity_header() and parse_passport(), and "ppt-unsupported" (none of `ppts`), "ppt-mismatch", "alg-mismatch",
// "x5u-info-mismatch".
Result<tokens::ParsedPassport> read_identity(std::string_view header, std::initializer_list<std::string_view> ppts);

}  // namespace avseal::signing
