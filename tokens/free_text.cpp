#include "tokens/free_text.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace avseal::tokens {
namespace {

constexpr int digits_of_a_number = 9;
constexpr std::array<std::string_view, 3> schemes{"sip:", "sips:", "tel:"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

// At the start of a word: "hotel:" is none.
bool has_scheme(std::string_view lower, std::string_view scheme) {
  for (auto at = lower.find(scheme); at != std::string_view::npos; at = lower.find(scheme, at + 1)) {
    if (at == 0 || !is_letter(lower[at - 1])) return true;
  }
  return false;
}

bool has_number(std::string_view text) {
  int digits = 0;
  char before = ' ';
  for (const char c : text) {
    digits = is_digit(c) ? digits + 1 : 0;
    if (digits == digits_of_a_number || (digits == 1 && before == '+')) return true;
    before = c;
  }
  return false;
}

}  // namespace

bool names_identity(std::string_view text) {
  std::string lower(text);
  for (auto& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text.find('@') != std::string_view::npos || has_number(text) ||
         std::any_of(schemes.begin(), schemes.end(), [&](auto scheme) { return has_scheme(lower, scheme); });
}

}  // namespace avseal::tokens
