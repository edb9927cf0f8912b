#include "tokens/fingerprint.hpp"

#include <algorithm>

#include "tokens/base64.hpp"
#include "tokens/digest.hpp"

namespace avseal::tokens {
namespace {

Error malformed(const char* expected, const char* found) {
  return errors::make(Category::invalid, "fingerprint-malformed",
                      std::string("expected ") + expected + ", found " + found);
}

// Digest size of a hash-func name (any case).
Result<std::size_t> digest_size(const std::string& algorithm) {
  if (algorithm == "sha-256") return std::size_t{32};
  if (algorithm == "sha-384") return std::size_t{48};
  if (algorithm == "sha-512") return std::size_t{64};
  return errors::make(Category::invalid, "fingerprint-weak",
                      "expected a fingerprint of sha-256, sha-384 or sha-512, found another hash function");
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

}  // namespace

Fingerprint Fingerprint::sha256_of(ByteView der) {
  const Sha256 digest = sha256(der);
  return {"sha-256", Bytes(digest.begin(), digest.end())};
}

Result<Fingerprint> Fingerprint::from_sdp(std::string_view text) {
  constexpr const char* form = "hash-func, one space, hex pairs with colons (RFC 8122)";
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return malformed(form, "no space");
  std::string algorithm = to_lower(text.substr(0, space));
  AVSEAL_TRY(const std::size_t size, digest_size(algorithm));
  const std::string_view pairs = text.substr(space + 1);
  if (pairs.size() != size * 3 - 1) return malformed(form, "a digest of another length");
  std::string hex;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (i % 3 != 2) {
      hex.push_back(pairs[i]);
    } else if (pairs[i] != ':') {
      return malformed(form, "a pair without a colon after it");
    }
  }
  auto bytes = hex_decode(hex);
  if (!bytes) return malformed(form, "a character that is no hex digit");
  return Fingerprint(std::move(algorithm), std::move(*bytes));
}

Result<Fingerprint> Fingerprint::from_mky(std::string_view alg, std::string_view dig) {
  constexpr const char* form = "upper-case hex without colons (RFC 8225 section 5.2.2)";
  std::string algorithm = to_lower(alg);
  AVSEAL_TRY(const std::size_t size, digest_size(algorithm));
  if (dig.size() != size * 2) return malformed(form, "a digest of another length");
  auto bytes = hex_decode(dig);
  if (!bytes || hex_encode_upper(*bytes) != dig) return malformed(form, "another character");
  return Fingerprint(std::move(algorithm), std::move(*bytes));
}

Result<Fingerprint> Fingerprint::from_x5t(std::string_view text) {
  auto bytes = base64url_decode(text);
  if (!bytes || bytes->size() != 32) return malformed("base64url of 32 bytes", "something else");
  return Fingerprint("sha-256", std::move(*bytes));
}

std::string Fingerprint::to_sdp() const {
  const std::string hex = hex_encode_upper(bytes_);
  std::string out = to_upper(algorithm_);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(i == 0 ? ' ' : ':');
    out.append(hex, i, 2);
  }
  return out;
}

std::string Fingerprint::to_sdp_line() const {
  return "a=fingerprint:" + to_sdp();
}

std::string Fingerprint::to_mky_dig() const {
  return hex_encode_upper(bytes_);
}

std::string Fingerprint::to_x5t() const {
  return base64url_encode(bytes_);
}

bool operator==(const Fingerprint& a, const Fingerprint& b) {
  return a.algorithm_ == b.algorithm_ && equal_constant_time(a.bytes_, b.bytes_);
}

}  // namespace avseal::tokens
