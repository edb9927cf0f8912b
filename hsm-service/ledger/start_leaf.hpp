#pragma once

#include "ledger/checkpoint_uses.hpp"
#include "ledger/leaf.hpp"
#include "ledger/ledger.hpp"
#include "ledger/segment_log.hpp"

namespace avseal::ledger {

enum class StartOf { run, log };

// "ledger.start": a process, or a log while it runs, begins. A process that begins a log behind another ("interrupted")
// comes after one that ended between the two, for its end has no leaf.
LeafDraft start_leaf(StartOf what, const std::string& origin, const SegmentTail& tail,
                     const std::optional<Published>& previous, const CheckpointUses& uses);

}  // namespace avseal::ledger
