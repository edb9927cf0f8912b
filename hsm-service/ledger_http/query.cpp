#include "ledger_http/query.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "ledger_http/errors.hpp"
#include "tlog/checkpoint.hpp"

namespace avseal::ledger_http {

namespace {

constexpr std::size_t max_text = 255;

using Read = Result<void> (*)(EventQuery& out, const std::string& name, const std::string& value);

// Quotes and backslashes are escaped in leaves, and no value that can be asked for has any.
bool is_text(std::string_view value) {
  const auto plain = [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; };
  return !value.empty() && value.size() <= max_text && std::all_of(value.begin(), value.end(), plain);
}

Result<std::uint64_t> number(const std::string& name, const std::string& value, std::uint64_t least,
                             std::uint64_t most) {
  const auto parsed = tlog::parse_size(value);
  if (parsed && *parsed >= least && *parsed <= most) return *parsed;
  return errors::query(name, fmt::format("expected a number from {} to {}", least, most));
}

template <std::optional<std::int64_t> EventQuery::*member>
Result<void> time(EventQuery& out, const std::string& name, const std::string& value) {
  out.*member = parse_utc_ms(value);
  if (out.*member) return {};
  return errors::query(name, "expected a time as 2026-11-25T23:00:00Z or 2026-11-25T23:00:00.000Z");
}

template <std::string EventQuery::*member>
Result<void> text(EventQuery& out, const std::string& name, const std::string& value) {
  if (!is_text(value)) {
    return errors::query(name, "expected 1 to 255 printable ASCII characters without space, quote and backslash");
  }
  out.*member = value;
  return {};
}

Result<void> outcome(EventQuery& out, const std::string& name, const std::string& value) {
  if (value != "released" && value != "refused" && value != "discarded") {
    return errors::query(name, "expected released, refused or discarded");
  }
  out.outcome = value;
  return {};
}

Result<void> subject(EventQuery& out, const std::string& name, const std::string& value) {
  auto impu = tokens::Impu::parse(value);
  if (!impu)
    return avseal::errors::make(Category::bad_request, impu.error().reason, impu.error().detail, "query " + name);
  out.subject = std::move(*impu);
  return {};
}

Result<void> from(EventQuery& out, const std::string& name, const std::string& value) {
  AVSEAL_TRY(out.from, number(name, value, 0, INT64_MAX));
  return {};
}

Result<void> limit(EventQuery& out, const std::string& name, const std::string& value) {
  AVSEAL_TRY(out.limit, number(name, value, 1, max_page));
  return {};
}

Result<void> format(EventQuery& out, const std::string& name, const std::string& value) {
  if (value != "json" && value != "csv") return errors::query(name, "expected json or csv");
  out.csv = value == "csv";
  return {};
}

constexpr std::array<std::pair<std::string_view, Read>, 12> members{{{"actor", text<&EventQuery::actor>},
                                                                     {"event", text<&EventQuery::event>},
                                                                     {"format", format},
                                                                     {"from", from},
                                                                     {"key", text<&EventQuery::key>},
                                                                     {"limit", limit},
                                                                     {"log", text<&EventQuery::log>},
                                                                     {"outcome", outcome},
                                                                     {"reason", text<&EventQuery::reason>},
                                                                     {"subject", subject},
                                                                     {"time-range-end", time<&EventQuery::end>},
                                                                     {"time-range-start", time<&EventQuery::start>}}};

// The number at `at`, of `digits` digits.
std::optional<int> digits_at(std::string_view text, std::size_t at, std::size_t digits) {
  int value = 0;
  for (const char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::optional<std::int64_t> parse_utc_ms(std::string_view text) {
  using namespace std::chrono;
  constexpr std::string_view form = "2026-11-25T23:00:00Z";
  constexpr std::string_view long_form = "2026-11-25T23:00:00.000Z";
  if (text.size() != form.size() && text.size() != long_form.size()) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text.back() != 'Z') {
    return std::nullopt;
  }
  std::array<int, 7> value{};
  constexpr std::array<std::pair<std::size_t, std::size_t>, 7> places{
      {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}, {20, 3}}};
  const bool fraction = text.size() == long_form.size();
  if (fraction && text[19] != '.') return std::nullopt;
  for (std::size_t i = 0; i < (fraction ? 7U : 6U); ++i) {
    const auto part = digits_at(text, places[i].first, places[i].second);
    if (!part) return std::nullopt;
    value[i] = *part;
  }
  const year_month_day date{year(value[0]), month(static_cast<unsigned>(value[1])),
                            day(static_cast<unsigned>(value[2]))};
  if (!date.ok() || value[0] < 1970 || value[3] > 23 || value[4] > 59 || value[5] > 59) return std::nullopt;
  const auto since = sys_days(date).time_since_epoch() + hours(value[3]) + minutes(value[4]) + seconds(value[5]);
  return duration_cast<milliseconds>(since).count() + value[6];
}

Result<EventQuery> EventQuery::parse(const std::map<std::string, std::string>& query) {
  EventQuery out;
  for (const auto& [name, value] : query) {
    const auto* member = std::find_if(members.begin(), members.end(),
                                      [wanted = std::string_view(name)](const auto& m) { return m.first == wanted; });
    if (member == members.end()) {
      return errors::query(name,
                           "expected one of actor, event, format, from, key, limit, log, outcome, reason, subject, "
                           "time-range-end and time-range-start");
    }
    AVSEAL_CHECK(member->second(out, name, value));
  }
  if (out.start && out.end && *out.end <= *out.start) {
    return errors::query("time-range-end", "expected a time after time-range-start");
  }
  return out;
}

boost::json::object EventQuery::describe() const {
  boost::json::object out;
  const auto add = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("actor", actor);
  add("event", event);
  add("key", key);
  add("log", log);
  add("outcome", outcome);
  add("reason", reason);
  if (start) out["time-range-start"] = *start;
  if (end) out["time-range-end"] = *end;
  out["from"] = static_cast<std::int64_t>(from);
  out["limit"] = static_cast<std::int64_t>(limit);
  return out;
}

}  // namespace avseal::ledger_http
