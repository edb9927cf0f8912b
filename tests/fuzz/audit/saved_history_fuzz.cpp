// What a verification saved: read without harm, only as it would be written, and gone on from.
#include <cstdlib>

#include "audit/saved_history.hpp"

using namespace avseal;

namespace {

constexpr std::string_view key = R"({"digest":"ddddddddddddddddddddddddddddddddddddddddddd","key":"avatar-id",)"
                                 R"("kid":"avatar-id__________________________________","outcome":"signed",)"
                                 R"("sequence":7,"worker":"w-1"})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text({data, size});
  const auto saved = audit::SavedHistory::parse(text);
  if (!saved) return 0;
  if (saved->text().value() != text) std::abort();
  audit::Verdict verdict;
  audit::History history(verdict);
  history.resume(saved->state);
  history.begin(saved->checkpoint.origin, false);
  const std::string leaves[] = {
      R"({"event":"ledger.start","index":1,"outcome":"released","time":1763930040000})",
      R"({"event":"sign.avatar-id","index":2,"keys":[)" + std::string(key) +
          R"(],"outcome":"released","time":1763930040000})",
      R"({"details":{"in_flight":3,"last_sequences":{"avatar-id":9},"worker":"w-1"},"event":"worker.lost",)"
      R"("index":3,"outcome":"released","time":1763930040000})"};
  const ByteView views[] = {as_bytes(leaves[0]), as_bytes(leaves[1]), as_bytes(leaves[2])};
  audit::Leaf leaf;
  history.take(audit::facts_of(views, 1, leaf));
  history.finish();
  return 0;
}
