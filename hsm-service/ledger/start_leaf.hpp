#pragma once

#include "ledger/checkpoint_uses.hpp"
#include "ledger/leaf.hpp"
#include "ledger/ledger.hpp"
#include "ledger/segment_log.hpp"

namespace avseal::ledger {

// "ledger.start": a process, or a log, begins.
LeafDraft start_leaf(const std::string& origin, const SegmentTail& tail, const std::optional<Published>& previous,
                     const CheckpointUses& uses);

}  // namespace avseal::ledger
