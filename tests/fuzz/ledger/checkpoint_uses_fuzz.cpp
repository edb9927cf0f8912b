// What the store remembers of the ledger key's uses: what is read has that one spelling, and runs that count from 1.
#include <cstdlib>

#include "ledger/checkpoint_uses.hpp"
#include "tokens/bytes.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  const auto uses = ledger::CheckpointUses::parse(text);
  if (!uses) return 0;
  if (uses->text() != text) std::abort();
  std::size_t runs = 0;
  for (const auto& entry : uses->json()) {
    for (const auto& run : entry.at("sequences").as_array()) {
      const auto first = run.at(0).to_number<std::uint64_t>();
      if (first == 0 || run.at(1).to_number<std::uint64_t>() < first) std::abort();
      ++runs;
    }
  }
  if (runs != uses->runs()) std::abort();
  return 0;
}
