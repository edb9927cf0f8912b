#include "ledger/start_leaf.hpp"

#include "tlog/checkpoint.hpp"

namespace avseal::ledger {

LeafDraft start_leaf(StartOf what, const std::string& origin, const SegmentTail& tail,
                     const std::optional<Published>& previous, const CheckpointUses& uses) {
  Event event;
  event.type = "ledger.start";
  event.details["origin"] = origin;
  if (previous) {
    event.details["previous"] = {
        {"origin", previous->origin}, {"root", tlog::hash_text(previous->root)}, {"size", previous->size}};
    if (what == StartOf::run) event.details["interrupted"] = true;
  }
  if (tail.torn_bytes != 0) {
    event.details["torn_bytes"] = tail.torn_bytes;
    event.details["torn_digest"] = tail.torn_digest;
  }
  if (!uses.empty()) event.details["uses"] = uses.json();
  return EventText(event, {}, {}).finish({}, 0, Outcome::released, {});
}

}  // namespace avseal::ledger
