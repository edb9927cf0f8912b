// Whatever is accepted can be told to the ledger, and names nobody there.
#include <cstdlib>

#include "audit/csv.hpp"
#include "http/target.hpp"
#include "ledger_http/query.hpp"
#include "tokens/json.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto time = ledger_http::parse_utc_ms(text)) {
    const auto again = audit::utc_text(*time);
    if (again.substr(0, 19) != text.substr(0, 19) || ledger_http::parse_utc_ms(again) != *time) std::abort();
  }
  const auto target = http::parse_target("/ledger/v1/events?" + std::string(text));
  if (!target) return 0;
  const auto query = ledger_http::EventQuery::parse(target->query);
  if (!query) return 0;
  if (query->limit == 0 || query->limit > ledger_http::max_page) std::abort();
  if (query->start && query->end && *query->start >= *query->end) std::abort();
  const auto told = query->describe();
  if (told.contains("subject") || tokens::canonical_json(told).size() > 8192) std::abort();
  return 0;
}
