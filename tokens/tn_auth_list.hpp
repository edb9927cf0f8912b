#pragma once

#include "tokens/certificate.hpp"

namespace avseal::tokens {

// RFC 8226 section 9: the value of extension id-pe 26, DER with explicit tags, at most 1000 entries. Service provider
// codes are read and left out: they name no number. Reason "certificate-malformed".
Result<std::vector<TnRange>> parse_tn_auth_list(ByteView der);

}  // namespace avseal::tokens
