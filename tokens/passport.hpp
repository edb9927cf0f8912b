// PASSporTs (RFC 8225): the signed Avatar-id (`ppt` avatar, ours), SHAKEN (RFC 8588) and div (RFC 8946).
#pragma once

#include <optional>

#include "tokens/clock.hpp"
#include "tokens/fingerprint.hpp"
#include "tokens/impu.hpp"
#include "tokens/jws.hpp"

namespace avseal::tokens {

enum class Attest : char { a = 'A', b = 'B', c = 'C' };
Result<Attest> parse_attest(std::string_view text);  // reason "attest-invalid"

// An originating or terminating identity as PASSporTs and Ms write it: {"tn": ..} or {"uri": ..}.
struct Identity {
  bool is_tn = false;
  std::string value;  // canonical tn digits, or canonical URI
  static Result<Identity> from_tn(std::string_view tn);
  static Result<Identity> from_uri(std::string_view uri);  // a tel URI becomes a tn
  static Identity of(const Impu& impu);
  [[nodiscard]] Impu impu() const;  // tn -> tel:+<tn>
  auto operator<=>(const Identity&) const = default;
};

struct AvatarClaim {
  std::string app;
  std::string id;
  std::string ue;  // base64url SHA-256 of the UE certificate
};

struct Passport {
  std::string ppt;  // "avatar", "shaken", "div" or "" (base PASSporT)
  std::string x5u;
  Identity orig;
  std::vector<Identity> dest;  // at least one; tn before uri, each sorted
  UnixSeconds iat = 0;
  std::optional<Attest> attest;       // avatar, shaken
  std::string origid;                 // avatar, shaken: UUID, lower case
  std::vector<Fingerprint> mky;       // avatar: at least one; sorted by algorithm then digest, no duplicates
  std::optional<AvatarClaim> avatar;  // avatar only
  std::optional<Identity> div;        // div only
};

// "H.P" for signing. Checks meaning first (attest, UUID, numbers and URIs canonical, ids, avatar.ue one of mky); the
// caller checks the freshness of iat. Reasons as of the checks, or "passport-invalid".
Result<std::string> build_passport(const Passport& passport, Algorithm algorithm);

struct ParsedPassport {
  Passport passport;
  Jws jws;
};

// Parses and checks everything but signature, freshness and who is calling whom. Reasons "passport-malformed",
// "passport-type", "ppt-unsupported", and those of the semantic checks.
Result<ParsedPassport> parse_passport(std::string_view compact);

}  // namespace avseal::tokens
