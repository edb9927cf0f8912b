// What the DAC's requests say in headers and bodies: strict parsers without I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "http/message.hpp"
#include "tokens/digest.hpp"
#include "tokens/impu.hpp"

namespace avseal::dac {

// The sha-256 member of an RFC 9530 Content-Digest (other algorithms beside it are passed over). Reasons
// "content-digest-missing", "content-digest-malformed".
Result<tokens::Sha256> parse_content_digest(const http::Request& request);
std::string format_content_digest(std::string_view digest);  // "sha-256-<base64>" -> "sha-256=:<base64>:"
std::string digest_text(const tokens::Sha256& digest);       // "sha-256-<base64>", as records and metadata write it

// The media type of Content-Type: lower case, without parameters; empty if there is none.
std::string media_type(const http::Request& request);

// The version that a writer expects: If-Match "<version>", or 0 for If-None-Match: *. Reasons "precondition-missing",
// "precondition-malformed".
Result<std::int64_t> parse_precondition(const http::Request& request);
std::string etag(std::int64_t version);

// Inclusive byte positions.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
// RFC 9110 section 14: nothing for no, several or malformed ranges (the whole content is the answer then);
// "range-not-satisfiable" when the one range begins beyond the end.
Result<std::optional<ByteRange>> parse_range(const http::Request& request, std::uint64_t size);

// Body of PUT /dac/v1/avatars/{avatarId}.
struct Publication {
  tokens::Impu owner;
  std::string content_digest;               // "sha-256-<base64>"
  std::optional<std::string> content_type;  // instead of the one that was uploaded with
  boost::json::object members;              // the operator's own: at most 4 KiB, integers only, no names of ours
};
Result<Publication> parse_publication(std::string_view body);

}  // namespace avseal::dac
