#pragma once

#include "http/message.hpp"
#include "ledger_http/search.hpp"

namespace avseal::ledger_http {

// {"events":[<leaves as they are in the log>],"next":..,"origin":"..","size":..}; with subject_unknown
// also "subject":"unknown".
http::Response as_json(const Log& log, const Page& page, bool subject_unknown);

// The rows of audit/csv.hpp below their header line. Error "leaf-malformed".
Result<http::Response> as_csv(const Page& page);

}  // namespace avseal::ledger_http
