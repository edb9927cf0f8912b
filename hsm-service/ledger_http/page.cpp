#include "ledger_http/page.hpp"

#include <fmt/format.h>

#include "audit/csv.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger_http {

namespace {

http::Response finish(http::Response response, const Page& page) {
  if (page.next) response.headers.emplace_back("avseal-ledger-next", std::to_string(*page.next));
  response.headers.emplace_back("cache-control", "no-store");
  return response;
}

}  // namespace

http::Response as_json(const Log& log, const Page& page, bool subject_unknown) {
  std::string body = "{\"events\":[";
  for (const auto& leaf : page.leaves) {
    if (&leaf != &page.leaves.front()) body += ',';
    body += leaf;
  }
  body += ']';
  if (page.next) body += fmt::format(",\"next\":{}", *page.next);
  body += fmt::format(",\"origin\":{},\"size\":{}", tokens::canonical_json(boost::json::string(log.head.origin)),
                      log.head.size);
  if (subject_unknown) body += ",\"subject\":\"unknown\"";
  body += '}';
  return finish(http::Response::text(200, "application/json", std::move(body)), page);
}

Result<http::Response> as_csv(const Page& page) {
  std::string body(audit::csv_header);
  audit::Leaf leaf;
  for (const auto& text : page.leaves) {
    AVSEAL_CHECK(audit::read_leaf(as_bytes(text), leaf));
    audit::append_csv_row(body, leaf);
  }
  return finish(http::Response::text(200, "text/csv; charset=utf-8; header=present", std::move(body)), page);
}

}  // namespace avseal::ledger_http
