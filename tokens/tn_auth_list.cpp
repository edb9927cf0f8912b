#include "tokens/tn_auth_list.hpp"

#include <algorithm>

#include "tokens/openssl.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_entries = 1000;
constexpr int tag_service_provider_code = 0;
constexpr int tag_range = 1;
constexpr int tag_one = 2;

Error malformed(std::string detail) {
  return errors::make(Category::invalid, "certificate-malformed", "in the TNAuthList: " + std::move(detail));
}

struct Element {
  int tag = 0;
  int tag_class = 0;
  ByteView content;
};

// The first element of bytes, which is then taken off bytes. Definite lengths only.
Result<Element> take(ByteView& bytes) {
  const unsigned char* at = bytes.data();
  long length = 0;
  Element element;
  const int flags = ASN1_get_object(&at, &length, &element.tag, &element.tag_class, static_cast<long>(bytes.size()));
  if ((flags & 0x80) != 0 || (flags & 0x01) != 0) return malformed("expected DER, found other bytes");
  element.content = {at, static_cast<std::size_t>(length)};
  bytes = bytes.subspan(static_cast<std::size_t>(at - bytes.data()) + static_cast<std::size_t>(length));
  return element;
}

Result<ByteView> take_universal(ByteView& bytes, int tag) {
  AVSEAL_TRY(const Element element, take(bytes));
  if (element.tag_class != V_ASN1_UNIVERSAL || element.tag != tag) return malformed("expected another type of element");
  return element.content;
}

Result<std::string> take_number(ByteView& bytes) {
  AVSEAL_TRY(const ByteView content, take_universal(bytes, V_ASN1_IA5STRING));
  const std::string_view text = as_text(content);
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789#*") != std::string_view::npos) {
    return malformed("expected a telephone number of 1 to 15 characters 0-9, # and *, found another text");
  }
  return std::string(text);
}

Result<TnRange> read_range(ByteView bytes) {
  AVSEAL_TRY(ByteView content, take_universal(bytes, V_ASN1_SEQUENCE));
  TnRange range;
  AVSEAL_TRY(range.start, take_number(content));
  AVSEAL_TRY(const ByteView count, take_universal(content, V_ASN1_INTEGER));
  const bool minimal = count.size() < 2 || count[0] != 0 || count[1] >= 0x80;
  if (count.empty() || count.size() > 7 || (count[0] & 0x80U) != 0 || !minimal) {
    return malformed("expected a count of 2 or more in DER, found another integer");
  }
  range.count = 0;
  for (const std::uint8_t byte : count) range.count = range.count * 256 + byte;
  if (range.count < 2 || !bytes.empty() || !content.empty()) {
    return malformed("expected a start and a count of 2 or more, found another range");
  }
  return range;
}

Result<TnRange> read_one(ByteView bytes) {
  TnRange range;
  AVSEAL_TRY(range.start, take_number(bytes));
  if (!bytes.empty()) return malformed("expected one number, found more");
  return range;
}

}  // namespace

Result<std::vector<TnRange>> parse_tn_auth_list(ByteView der) {
  const ssl::ErrorMark mark;
  AVSEAL_TRY(ByteView entries, take_universal(der, V_ASN1_SEQUENCE));
  if (!der.empty() || entries.empty()) return malformed("expected one list with at least one entry");
  std::vector<TnRange> ranges;
  for (std::size_t count = 0; !entries.empty(); ++count) {
    if (count == max_entries) return malformed("expected at most 1000 entries, found more");
    AVSEAL_TRY(const Element entry, take(entries));
    if (entry.tag_class != V_ASN1_CONTEXT_SPECIFIC) return malformed("expected a tagged entry, found another");
    if (entry.tag == tag_range) {
      AVSEAL_TRY(auto range, read_range(entry.content));
      ranges.push_back(std::move(range));
    } else if (entry.tag == tag_one) {
      AVSEAL_TRY(auto one, read_one(entry.content));
      ranges.push_back(std::move(one));
    } else if (entry.tag != tag_service_provider_code) {
      return malformed("expected a service provider code, a range or a number, found another entry");
    }
  }
  return ranges;
}

}  // namespace avseal::tokens
