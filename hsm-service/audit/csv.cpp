#include "audit/csv.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace avseal::audit {

namespace {

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

std::string keys_of(const Leaf& leaf) {
  std::string out;
  for (const auto& use : leaf.uses) {
    if (!out.empty()) out += ' ';
    out += unescaped(use.key);
  }
  return out;
}

}  // namespace

void append_csv_row(std::string& out, const Leaf& leaf) {
  out += fmt::format("{},{},", leaf.index, utc_text(leaf.time));
  for (const auto text : {leaf.event, leaf.outcome, leaf.reason, leaf.client, leaf.actor, leaf.request}) {
    append_cell(out, unescaped(text), ',');
  }
  append_cell(out, keys_of(leaf), ',');
  append_cell(out, leaf.details, '\r');
  out += '\n';
}

std::string utc_text(std::int64_t unix_ms) {
  constexpr std::int64_t year_9999 = 253'402'300'799'999;
  if (unix_ms < 0 || unix_ms > year_9999) return std::to_string(unix_ms);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(unix_ms / 1000), unix_ms % 1000);
}

}  // namespace avseal::audit
