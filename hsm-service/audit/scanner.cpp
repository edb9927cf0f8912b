#include "audit/scanner.hpp"

#include <bit>
#include <charconv>
#include <cstring>

#include <boost/json.hpp>

namespace avseal::audit {

namespace {

constexpr std::uint64_t ones = 0x0101010101010101ULL;
constexpr std::uint64_t highs = 0x8080808080808080ULL;

// The highest bit of each byte that may not stand in a string as it is, or is not ASCII: below 0x20, '"', '\\', from
// 0x80. A byte behind the first such may be marked wrongly.
std::uint64_t special(std::uint64_t word) {
  const std::uint64_t quote = word ^ (ones * '"');
  const std::uint64_t backslash = word ^ (ones * '\\');
  const std::uint64_t marked =
      ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | word;
  return marked & highs;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

}  // namespace

bool Scanner::fail(const char* why) {
  if (why_ == nullptr) why_ = why;
  return false;
}

bool Scanner::take(char wanted) {
  if (why_ != nullptr) return false;
  if (at_ >= text_.size() || text_[at_] != wanted) return fail("another character than canonical JSON has there");
  ++at_;
  return true;
}

bool Scanner::end() {
  return at_ == text_.size() ? why_ == nullptr : fail("more behind the value");
}

bool Scanner::string(std::string_view& raw) {
  if (!take('"')) return false;
  const std::size_t start = at_;
  for (;;) {
    while (text_.size() - at_ >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text_.data() + at_, sizeof word);
      const auto marked = special(word);
      if (marked == 0) {
        at_ += sizeof word;
        continue;
      }
      at_ += static_cast<std::size_t>(std::countr_zero(marked)) / 8;
      break;
    }
    if (at_ >= text_.size()) return fail("a string without end");
    const char c = text_[at_];
    if (c == '"') break;
    if (c == '\\') {
      if (!escape()) return fail("an escape that canonical JSON does not have");
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      if (!utf8()) return fail("bytes that are not UTF-8");
    } else if (static_cast<unsigned char>(c) < 0x20) {
      return fail("a control character in a string");
    } else {
      ++at_;
    }
  }
  raw = text_.substr(start, at_ - start);
  ++at_;
  return true;
}

// Only characters that have to be escaped, in their shortest form.
bool Scanner::escape() {
  const auto rest = text_.substr(at_ + 1);
  if (rest.empty()) return false;
  if (std::string_view("\"\\bfnrt").find(rest[0]) != std::string_view::npos) {
    at_ += 2;
    return true;
  }
  if (rest.size() < 5 || rest.substr(0, 3) != "u00" || (rest[3] != '0' && rest[3] != '1')) return false;
  const bool hex = is_digit(rest[4]) || (rest[4] >= 'a' && rest[4] <= 'f');
  const bool has_short_form = rest[3] == '0' && std::string_view("89acd").find(rest[4]) != std::string_view::npos;
  if (!hex || has_short_form) return false;
  at_ += 6;
  return true;
}

// One character of two to four bytes (Unicode 3.9, table 3-7).
bool Scanner::utf8() {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text_[at_ + i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text_.size() - at_ < length) return false;
  const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return false;
  for (std::size_t i = 2; i < length; ++i) {
    if (!is_continuation(text_[at_ + i])) return false;
  }
  at_ += length;
  return true;
}

bool Scanner::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return fail("another word than true, false or null");
  at_ += word.size();
  return true;
}

// Decimal digits without leading zeros and in the range of 64 bits; fractions have no canonical form.
bool Scanner::number() {
  if (peek() == '-') {
    std::int64_t ignored = 0;
    return integer(ignored);
  }
  std::uint64_t ignored = 0;
  return unsigned_integer(ignored);
}

bool Scanner::unsigned_integer(std::uint64_t& value) {
  if (why_ != nullptr) return false;
  const char* const begin = text_.data() + at_;
  const auto read = std::from_chars(begin, text_.data() + text_.size(), value);
  if (read.ec != std::errc{} || (*begin == '0' && read.ptr != begin + 1)) return fail("no integer of 64 bits");
  at_ += static_cast<std::size_t>(read.ptr - begin);
  return true;
}

bool Scanner::integer(std::int64_t& value) {
  if (why_ != nullptr) return false;
  const char* const begin = text_.data() + at_;
  const bool negative = peek() == '-';
  const auto read = std::from_chars(begin, text_.data() + text_.size(), value);
  if (read.ec != std::errc{}) return fail("no integer of 64 bits");
  const bool zero_first = begin[negative ? 1 : 0] == '0';
  if (zero_first && (negative || read.ptr != begin + 1)) return fail("an integer with a needless zero");
  at_ += static_cast<std::size_t>(read.ptr - begin);
  return true;
}

bool Scanner::any() {
  std::string_view ignored;
  switch (peek()) {
    case '{':
      return object([this](std::string_view) { return any(); });
    case '[':
      return array([this] { return any(); });
    case '"':
      return string(ignored);
    case 't':
      return literal("true");
    case 'f':
      return literal("false");
    case 'n':
      return literal("null");
    default:
      return number();
  }
}

bool Scanner::value(std::string_view& raw) {
  if (why_ != nullptr) return false;
  const std::size_t start = at_;
  if (!any()) return false;
  raw = text_.substr(start, at_ - start);
  return true;
}

bool Scanner::rises(std::string_view before, std::string_view name) {
  const bool plain = before.find('\\') == std::string_view::npos && name.find('\\') == std::string_view::npos;
  return plain ? before < name : unescaped(before) < unescaped(name);
}

std::string unescaped(std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) return std::string(raw);
  const auto value = boost::json::parse('"' + std::string(raw) + '"');
  return std::string(value.get_string());
}

}  // namespace avseal::audit
