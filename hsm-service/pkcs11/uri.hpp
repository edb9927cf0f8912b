#pragma once

#include <optional>
#include <string>

#include <p11-kit/pkcs11.h>

#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::pkcs11 {

// What an RFC 7512 URI says about a token and an object on it.
struct Uri {
  std::string text;                  // as given, for messages
  std::optional<std::string> token;  // label
  std::optional<std::string> serial;
  std::optional<std::string> manufacturer;
  std::optional<std::string> model;
  std::optional<std::string> object;  // label
  std::optional<Bytes> id;

  // Strict: no unknown attributes, no slot numbers (they change), no PIN or PIN source (they have their own settings),
  // no `type` but private and secret-key. Reason "uri-invalid".
  static Result<Uri> parse(std::string_view text);
  static Result<Uri> parse_token(std::string_view text);  // has token or serial, and names no object
  static Result<Uri> parse_key(std::string_view text);    // has object or id

  [[nodiscard]] bool matches(const CK_TOKEN_INFO& info) const;  // every token attribute that is given
  [[nodiscard]] bool names_token() const { return token || serial || manufacturer || model; }
};

// A blank-padded field of a CK_ structure without its padding.
template <std::size_t N>
std::string unpadded(const unsigned char (&field)[N]) {
  std::string text(reinterpret_cast<const char*>(field), N);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace avseal::pkcs11
