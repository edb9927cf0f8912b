#include "ledger/acts.hpp"

namespace avseal::ledger {

namespace {

Event event_of(const Act& act, std::string type) {
  Event event;
  event.type = std::move(type);
  event.details = {{"act", act.name}, {"id", act.id}, {"object", act.object}, {"terminal", act.terminal}};
  return event;
}

}  // namespace

Event begun(const Act& act) {
  return event_of(act, "act.begun");
}

Event ended(const Act& act, boost::json::object result) {
  Event event = event_of(act, "act.ended");
  if (!result.empty()) event.details["result"] = std::move(result);
  return event;
}

}  // namespace avseal::ledger
