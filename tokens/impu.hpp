#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "tokens/result.hpp"

namespace avseal::tokens {

// A canonical telephone number as PASSporTs carry it: digits (and * #) only, without '+' and separators; at most 15
// digits for a global number. RFC 8224 section 8.3.
Result<std::string> canonical_tn(std::string_view text);

// An IMS public user identity (TS 23.003 clause 13.4): a SIP or tel URI in the one canonical form that subscriptions,
// certificates, `orig` and `sub` all use.
//   tel:+1-703-555.0001          -> tel:+17035550001
//   sip:+17035550001@h;user=phone -> tel:+17035550001
//   SIP:Alice@A.Example:5060;x=y -> sip:Alice@a.example     (scheme and host lower case; port 5060, parameters and
//   headers dropped) percent-escapes of unreserved characters are undone, others upper-cased.
// Refused (reason "impu-invalid"): sips: is kept distinct; passwords, empty user, non-ASCII, over 255 bytes, local
// numbers.
class Impu {
 public:
  static Result<Impu> parse(std::string_view text);

  [[nodiscard]] const std::string& canonical() const { return canonical_; }
  [[nodiscard]] bool is_tel() const { return canonical_.starts_with("tel:"); }
  [[nodiscard]] std::string tn() const;         // digits of a tel URI, without '+'; empty for SIP
  [[nodiscard]] std::string_view host() const;  // host of a SIP URI; empty for tel
  auto operator<=>(const Impu&) const = default;

 private:
  explicit Impu(std::string canonical) : canonical_(std::move(canonical)) {}
  std::string canonical_;
};

// Avatar-ids and application ids: 1..255 printable ASCII characters without space, quote, backslash, '<' and '>'.
// Reasons "avatar-id-invalid", "application-id-invalid".
Result<std::string> check_avatar_id(std::string_view text);
Result<std::string> check_application_id(std::string_view text);

}  // namespace avseal::tokens
