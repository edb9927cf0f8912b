#include "tokens/tn_auth_list.hpp"

#include "tokens/der.hpp"

namespace avseal::tokens {
namespace {

constexpr std::size_t max_entries = 1000;
// Each entry has an explicit tag.
constexpr std::uint8_t service_provider_tag = 0xA0;
constexpr std::uint8_t range_tag = 0xA1;
constexpr std::uint8_t one_tag = 0xA2;
constexpr std::uint8_t ia5_string = 0x16;

Error malformed(std::string detail) {
  return errors::make(Category::invalid, "certificate-malformed", "in the TNAuthList: " + std::move(detail));
}

Result<ByteView> take_content(ByteView& bytes, std::uint8_t tag) {
  const auto content = der::take(bytes, tag);
  if (!content) return malformed("expected DER and another type of element");
  return *content;
}

Result<std::string> take_number(ByteView& bytes) {
  AVSEAL_TRY(const ByteView content, take_content(bytes, ia5_string));
  const std::string_view text = as_text(content);
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789#*") != std::string_view::npos) {
    return malformed("expected a telephone number of 1 to 15 characters 0-9, # and *, found another text");
  }
  return std::string(text);
}

Result<TnRange> read_range(ByteView bytes) {
  AVSEAL_TRY(ByteView content, take_content(bytes, der::sequence));
  TnRange range;
  AVSEAL_TRY(range.start, take_number(content));
  AVSEAL_TRY(const ByteView count, take_content(content, der::integer));
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
  AVSEAL_TRY(ByteView entries, take_content(der, der::sequence));
  if (!der.empty() || entries.empty()) return malformed("expected one list with at least one entry");
  std::vector<TnRange> ranges;
  for (std::size_t count = 0; !entries.empty(); ++count) {
    if (count == max_entries) return malformed("expected at most 1000 entries, found more");
    const auto entry = der::take(entries);
    if (!entry) return malformed("expected DER, found other bytes");
    if (entry->tag == range_tag) {
      AVSEAL_TRY(auto several, read_range(entry->content));
      ranges.push_back(std::move(several));
    } else if (entry->tag == one_tag) {
      AVSEAL_TRY(auto single, read_one(entry->content));
      ranges.push_back(std::move(single));
    } else if (entry->tag != service_provider_tag) {
      return malformed("expected a service provider code, a range or a number, found another entry");
    }
  }
  return ranges;
}

}  // namespace avseal::tokens
