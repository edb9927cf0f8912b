#include "tlog/utf8.hpp"

#include <cstdint>

namespace avseal::tlog {

namespace {

// How many bytes follow a lead byte, and the smallest code point of that length.
struct Sequence {
  unsigned following = 0;
  std::uint32_t smallest = 0;
  std::uint32_t bits = 0;
};

bool read_lead(std::uint8_t lead, Sequence& sequence) {
  if (lead < 0x80) {
    sequence = {0, 0, lead};
  } else if (lead >= 0xC2 && lead <= 0xDF) {
    sequence = {1, 0x80, lead & 0x1FU};
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    sequence = {2, 0x800, lead & 0x0FU};
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    sequence = {3, 0x10000, lead & 0x07U};
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    Sequence sequence;
    if (!read_lead(static_cast<std::uint8_t>(text[i++]), sequence)) return false;
    std::uint32_t point = sequence.bits;
    for (unsigned n = 0; n < sequence.following; ++n, ++i) {
      const auto byte = i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
      if ((byte & 0xC0U) != 0x80) return false;
      point = point << 6U | (byte & 0x3FU);
    }
    if (point < sequence.smallest || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
  }
  return true;
}

}  // namespace avseal::tlog
