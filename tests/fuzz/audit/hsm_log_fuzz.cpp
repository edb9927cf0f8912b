// An HSM's own log: read without harm, and judged whatever it says.
#include <algorithm>
#include <cstdlib>

#include "audit/hsm_history.hpp"

using namespace avseal;

namespace {

std::size_t lines_of(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text({data, size});
  const auto outputs = audit::parse_hsm_log(text);
  audit::Verdict verdict;
  audit::HsmHistory history(verdict);
  history.take("log", text);
  const auto counts = history.compare({{"key", 0x0101}}, 0, {{"key", {1, 0}}});
  if (!outputs) {
    if (!counts.empty() || verdict.good()) std::abort();
    return 0;
  }
  std::size_t lines = 0;
  for (const auto& output : *outputs) lines += 3 + output.entries.size();
  if (lines != lines_of(text) || history.entries() > lines) std::abort();
  if (counts.empty() && verdict.good()) std::abort();
  return 0;
}
