#pragma once

#include <string>
#include <string_view>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::tokens {

// A certificate fingerprint: one value, three encodings. Bytes are compared, in constant time.
//   SDP (RFC 8122)       SHA-256 AA:BB:..       to_sdp_line() puts "a=fingerprint:" before it
//   PASSporT mky         {"alg":"sha-256","dig":"AABB.."}
//   JWS x5t#S256         base64url of the 32 bytes
// Only sha-256, sha-384 and sha-512 exist here: weaker ones are refused with reason "fingerprint-weak".
class Fingerprint {
 public:
  static Fingerprint sha256_of(ByteView der);
  static Result<Fingerprint> from_sdp(std::string_view text);  // hash-func SP hex with colons
  static Result<Fingerprint> from_mky(std::string_view alg, std::string_view dig);
  static Result<Fingerprint> from_x5t(std::string_view text);  // SHA-256 only

  [[nodiscard]] const std::string& algorithm() const { return algorithm_; }  // "sha-256", ...
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] std::string to_sdp() const;                            // "SHA-256 AA:BB:.."
  [[nodiscard]] std::string to_sdp_line() const;                       // "a=fingerprint:SHA-256 AA:BB:.."
  [[nodiscard]] std::string to_mky_dig() const;                        // upper hex without colons
  [[nodiscard]] std::string to_x5t() const;                            // base64url
  friend bool operator==(const Fingerprint& a, const Fingerprint& b);  // constant time

 private:
  Fingerprint(std::string algorithm, Bytes bytes) : algorithm_(std::move(algorithm)), bytes_(std::move(bytes)) {}
  std::string algorithm_;
  Bytes bytes_;
};

}  // namespace avseal::tokens
