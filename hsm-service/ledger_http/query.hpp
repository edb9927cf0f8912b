// What an auditor asks of /ledger/v1/events.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <boost/json.hpp>

#include "tokens/impu.hpp"

namespace avseal::ledger_http {

inline constexpr std::size_t max_page = 1000;  // leaves

// Empty members ask for nothing.
struct EventQuery {
  std::optional<std::int64_t> start;  // Unix milliseconds: start <= time < end
  std::optional<std::int64_t> end;
  std::string event;
  std::string actor;  // a client's id, or the base64url SHA-256 of its certificate
  std::string key;    // its name, or the thumbprint of its public key
  std::string outcome;
  std::string reason;
  std::optional<tokens::Impu> subject;
  std::string log;  // the year of a closed log; empty: the current one
  std::uint64_t from = 0;
  std::size_t limit = 100;
  bool csv = false;

  // Members time-range-start, time-range-end (as 2026-11-25T23:00:00Z or with milliseconds), event, actor, key,
  // outcome, reason, subject (an IMPU), log, from, limit, format (json or csv); all else is refused. Reasons
  // "query-invalid", "impu-invalid".
  static Result<EventQuery> parse(const std::map<std::string, std::string>& query);
  // For the ledger: without the subject.
  [[nodiscard]] boost::json::object describe() const;
};

// "2026-11-25T23:00:00Z", or with three digits of a second's fraction; of 1970 to 9999.
std::optional<std::int64_t> parse_utc_ms(std::string_view text);

}  // namespace avseal::ledger_http
