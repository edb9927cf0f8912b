// Acts on an HSM, which happen at a terminal and have two leaves: "act.begun" before, "act.ended" after. One that was
// interrupted has the first alone. Both carry the same id.
#pragma once

#include "ledger/event.hpp"

namespace avseal::ledger {

struct Act {
  std::string id;                // UUID
  std::string name;              // "key.generate"
  boost::json::object object;    // what it is done to: token, label, ...
  boost::json::object terminal;  // who sits there: user, uid, login, host
};

Event begun(const Act& act);
// result: what came of it.
Event ended(const Act& act, boost::json::object result);

}  // namespace avseal::ledger
