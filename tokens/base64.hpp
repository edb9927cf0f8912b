#pragma once

#include <string>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::tokens {

// RFC 4648 section 5 without padding. Decoding is strict: no padding, no other characters, unused bits zero
// (canonical).
std::string base64url_encode(ByteView bytes);
Result<Bytes> base64url_decode(std::string_view text);

// RFC 4648 section 4 with padding, equally strict (x5c, Content-Digest).
std::string base64_encode(ByteView bytes);
Result<Bytes> base64_decode(std::string_view text);

std::string hex_encode(ByteView bytes);  // lower case
std::string hex_encode_upper(ByteView bytes);
Result<Bytes> hex_decode(std::string_view text);  // either case, even length

}  // namespace avseal::tokens
