// Strict reading of a request line and header block into a Request, the same for both HTTP versions.
#pragma once

#include "http/message.hpp"

namespace avseal::http {

struct Target {
  std::string path;                          // decoded
  std::map<std::string, std::string> query;  // decoded
};

// An origin-form request target (RFC 9112 section 3.2.1) of at most 2048 bytes, 16 segments and 16 query members.
// Refused, with reason "target-malformed": empty and dot segments, escapes of '/', of controls and of non-ASCII bytes,
// fragments, repeated query names.
Result<Target> parse_target(std::string_view target);

// Strict percent-decoding to printable ASCII. Reason "target-malformed".
Result<std::string> percent_decode(std::string_view text);

// Completes a request whose `headers` hold the fields as received, names in lower case: request id, repeated headers
// ("header-repeated"), method
// ("method-unknown"), target. The request id is set even when an error is returned.
Result<void> read_head(Request& request, std::string_view method, std::string_view target);

// The declared Content-Length, if there is one. Reason "content-length-malformed".
Result<std::optional<std::uint64_t>> content_length(const Request& request);

}  // namespace avseal::http
