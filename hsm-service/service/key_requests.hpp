// Bodies of the operators' key routes.
#pragma once

#include "ledger/acts.hpp"
#include "service/key_states.hpp"

namespace avseal::service {

// {"state": "staged" | "active" | "retired", "force": why} -> to and reason; force only with retired.
Result<KeyChange> parse_key_change(std::string name, std::string_view body);

// {"act": "key.generate", "object": {...}, "terminal": {...}}; both objects have at most 16 members that are short
// texts or integers.
Result<ledger::Act> parse_act(std::string_view body);

// The same with "outcome": "done" | "failed", and "result" (done) or "reason" (failed).
struct ActOutcome {
  ledger::Act act;
  bool done = false;
  boost::json::object result;
  std::string reason;
};
Result<ActOutcome> parse_act_outcome(std::string id, std::string_view body);

}  // namespace avseal::service
