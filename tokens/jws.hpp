#pragma once

#include "tokens/json.hpp"
#include "tokens/public_key.hpp"

namespace avseal::tokens {

// A parsed JWS compact serialization (RFC 7515 section 7.1). Nothing about it is verified yet.
struct Jws {
  json::object header;
  json::value payload;      // our objects are all JSON
  std::string header_text;  // the bytes that were signed, decoded
  std::string payload_text;
  std::string signing_input;  // "H.P"
  Bytes signature;            // r || s
};

// Strict: three canonical base64url parts, JSON objects without duplicates, `alg` a string, no `crit`, no `b64`, no
// `jwk`. Reasons "jws-malformed", "jws-too-large".
Result<Jws> parse_jws(std::string_view compact, std::size_t max_size = 16 * 1024);

// "H.P" of canonical header and claims.
std::string jws_signing_input(const json::object& header, const json::object& claims);
std::string jws_assemble(std::string_view signing_input, ByteView raw_signature);

// Signature with the algorithm of the key; the header's `alg` must name the same. Reasons "algorithm-mismatch",
// "signature-invalid".
Result<void> verify_jws(const Jws& jws, const PublicKey& key);

}  // namespace avseal::tokens
