// Bodies of the operators' key routes: what is accepted fits a leaf of the ledger.
#include <cstdlib>

#include "ledger/leaf.hpp"
#include "service/key_requests.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace avseal;
  const auto text = as_text({data, size});
  const auto change = service::parse_key_change("key", text);
  if (change && change->to != service::KeyState::retired && !change->reason.empty()) std::abort();
  if (const auto act = service::parse_act(text)) {
    if (ledger::EventText(ledger::begun(*act), {}, {}).size() > ledger::max_event_size) std::abort();
  }
  if (auto end = service::parse_act_outcome("123e4567-e89b-12d3-a456-426655440000", text)) {
    const auto event = ledger::ended(end->act, end->result);
    if (ledger::EventText(event, {}, {}).size() > ledger::max_event_size) std::abort();
  }
  return 0;
}
