// Reader of segment files: never reads out of bounds, and what it accepts is what a writer would have written.
#include <cstdlib>

#include "ledger/segment.hpp"

using namespace avseal;
using namespace avseal::ledger;

namespace {

// The input behind a good header, so that the fuzzer gets past it; a leaf of each odd byte makes whole batches.
Bytes segment_of(ByteView input) {
  Bytes bytes = encode(SegmentHeader{});
  BatchBuilder builder;
  builder.start(0);
  std::uint64_t index = 0;
  for (const auto byte : input.first(std::min<std::size_t>(input.size(), 16))) {
    if (byte % 2 == 0) break;
    builder.add(LeafDraft{std::string(byte, 'x'), {}}, byte);
    ++index;
  }
  if (index != 0) {
    const auto batch = builder.finish();
    bytes.insert(bytes.end(), batch.begin(), batch.end());
  }
  bytes.insert(bytes.end(), input.begin(), input.end());
  return bytes;
}

void check(ByteView bytes) {
  std::uint64_t leaves = 0;
  const auto end = read_segment(bytes, "segment", [&](const Batch& batch) {
    for (const auto leaf : batch.leaves) {
      ++leaves;
      if (leaf.size() > max_leaf_size) std::abort();
    }
    if (batch.hashes.size() != batch.leaves.size()) std::abort();
  });
  if (!end) return;
  const auto header = decode_segment_header(bytes);
  if (!header || end->next_index != header->first_index + leaves) std::abort();
  if (end->offset + end->rest != bytes.size()) std::abort();

  // The accepted part alone is accepted whole.
  const auto again = read_segment(bytes.first(end->offset), "segment", [](const Batch&) {});
  if (!again || again->next_index != end->next_index || again->rest != 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  check(input);
  check(segment_of(input));
  return 0;
}
