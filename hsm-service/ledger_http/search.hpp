#pragma once

#include "ledger_http/logs.hpp"
#include "ledger_http/query.hpp"

namespace avseal::ledger_http {

inline constexpr std::uint64_t max_searched = 128 * tlog::tile_width;  // leaves that one request looks at
inline constexpr std::size_t max_found = 2 << 20;                      // bytes of leaves, nearly

// The person that a query is about, as the leaves name it.
struct SoughtSubject {
  std::string origin;  // of the node, without a year
  std::string value;
  Bytes key;
};

struct Page {
  std::vector<std::string> leaves;    // as they are in the log
  std::optional<std::uint64_t> next;  // the leaf to go on from, if the log has more
};

// The leaves that the query asks for, in their order, from those that the log's checkpoint covers; a page is short when
// one of the bounds above was met. Times in a log never decrease, so those before the range are not read. Reads the
// disk.
Result<Page> search(const Log& log, const EventQuery& query, const std::optional<SoughtSubject>& subject);

}  // namespace avseal::ledger_http
