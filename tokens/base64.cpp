#include "tokens/base64.hpp"

#include <array>

namespace avseal::tokens {
namespace {

constexpr std::string_view url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view standard_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

using Table = std::array<std::int8_t, 256>;

constexpr Table reverse(std::string_view alphabet) {
  Table table{};
  for (auto& entry : table) entry = -1;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}
constexpr Table url_table = reverse(url_alphabet);
constexpr Table standard_table = reverse(standard_alphabet);

Error malformed(std::string detail) {
  return errors::make(Category::bad_request, "base64-malformed", std::move(detail));
}

std::string encode(ByteView bytes, std::string_view alphabet, bool padding) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  char* out = text.data();
  const auto digit = [alphabet](std::uint32_t bits, unsigned shift) { return alphabet[(bits >> shift) & 0x3FU]; };
  for (; bytes.size() >= 3; bytes = bytes.subspan(3)) {
    const std::uint32_t bits = std::uint32_t{bytes[0]} << 16U | std::uint32_t{bytes[1]} << 8U | bytes[2];
    for (const unsigned shift : {18U, 12U, 6U, 0U}) *out++ = digit(bits, shift);
  }
  if (!bytes.empty()) {
    const std::uint32_t bits =
        std::uint32_t{bytes[0]} << 16U | (bytes.size() == 2 ? std::uint32_t{bytes[1]} << 8U : 0U);
    for (unsigned shift = 18U; shift >= (bytes.size() == 2 ? 6U : 12U); shift -= 6U) *out++ = digit(bits, shift);
  }
  if (!padding) text.resize(static_cast<std::size_t>(out - text.data()));
  return text;
}

// text is without padding.
Result<Bytes> decode(std::string_view text, const Table& table) {
  if (text.size() % 4 == 1) return malformed("expected base64, found a length that no base64 text has");
  Bytes bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int value = table[static_cast<unsigned char>(text[i])];
    if (value < 0) {
      return malformed("expected a character of the base64 alphabet, found another one at position " +
                       std::to_string(i));
    }
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::uint8_t>(bits >> count));
    }
  }
  if ((bits & ((1U << count) - 1U)) != 0) {
    return malformed("expected zero bits after the last byte (canonical base64), found others");
  }
  return bytes;
}

std::string hex(ByteView bytes, std::string_view digits) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(digits[byte >> 4U]);
    text.push_back(digits[byte & 0x0FU]);
  }
  return text;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string base64url_encode(ByteView bytes) {
  return encode(bytes, url_alphabet, false);
}

Result<Bytes> base64url_decode(std::string_view text) {
  return decode(text, url_table);
}

std::string base64_encode(ByteView bytes) {
  return encode(bytes, standard_alphabet, true);
}

Result<Bytes> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return malformed("expected padded base64, found a length that is no multiple of 4");
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return decode(text, standard_table);
}

std::string hex_encode(ByteView bytes) {
  return hex(bytes, "0123456789abcdef");
}

std::string hex_encode_upper(ByteView bytes) {
  return hex(bytes, "0123456789ABCDEF");
}

Result<Bytes> hex_decode(std::string_view text) {
  const auto bad = [](const char* found) {
    return errors::make(Category::bad_request, "hex-malformed",
                        std::string("expected pairs of hex digits, found ") + found);
  };
  if (text.size() % 2 != 0) return bad("an odd number of characters");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return bad("another character");
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

}  // namespace avseal::tokens
