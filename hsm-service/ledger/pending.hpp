#pragma once

#include "ledger/leaf.hpp"
#include "ledger/slot.hpp"
#include "ledger/writer.hpp"

namespace avseal::ledger {

struct Slot::Pending {
  std::shared_ptr<Writer> writer;
  Place place;
  EventText event;
  std::vector<KeyUse> uses;
  std::size_t omitted = 0;
  Receipt receipt;

  // Hands the leaf to the writer; *this is spent.
  void append(Outcome outcome, std::string_view reason, Completion<Appended> done) {
    auto draft = std::move(event).finish(std::move(uses), omitted, outcome, reason);
    writer->append(std::move(place), std::move(draft), std::move(done));
  }
};

}  // namespace avseal::ledger
