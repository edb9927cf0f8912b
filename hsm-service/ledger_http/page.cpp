#include "ledger_http/page.hpp"

#include <fmt/format.h>

#include "audit/leaf.hpp"
#include "tokens/json.hpp"

namespace avseal::ledger_http {

namespace {

constexpr std::string_view columns = "index,time,event,outcome,reason,client,actor,request,keys,details\r\n";
constexpr std::string_view formula_starts = "=+-@";

void append_cell(std::string& out, std::string_view value, char end) {
  const bool formula = !value.empty() && formula_starts.find(value.front()) != std::string_view::npos;
  out += formula ? "\"'" : "\"";
  for (const char c : value) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
  out += end;
}

std::string keys_of(const audit::Leaf& leaf) {
  std::string out;
  for (const auto& use : leaf.uses) {
    if (!out.empty()) out += ' ';
    out += audit::unescaped(use.key);
  }
  return out;
}

void append_row(std::string& out, const audit::Leaf& leaf) {
  out += fmt::format("{},{},", leaf.index, format_utc_ms(leaf.time));
  for (const auto text : {leaf.event, leaf.outcome, leaf.reason, leaf.client, leaf.actor, leaf.request}) {
    append_cell(out, audit::unescaped(text), ',');
  }
  append_cell(out, keys_of(leaf), ',');
  append_cell(out, leaf.details, '\r');
  out += '\n';
}

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
  std::string body(columns);
  audit::Leaf leaf;
  for (const auto& text : page.leaves) {
    AVSEAL_CHECK(audit::read_leaf(as_bytes(text), leaf));
    append_row(body, leaf);
  }
  return finish(http::Response::text(200, "text/csv; charset=utf-8; header=present", std::move(body)), page);
}

}  // namespace avseal::ledger_http
