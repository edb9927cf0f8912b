#include "ledger/checkpointer.hpp"
#include "ledger/segment_files.hpp"

namespace avseal::ledger {

Result<std::vector<std::string>> read_leaves(const std::filesystem::path& directory) {
  std::vector<std::string> leaves;
  AVSEAL_TRY(const auto published, read_published(directory));
  const std::uint64_t size = published ? published->size : 0;
  const auto source = tlog::open_directory(directory);
  for (std::uint64_t first = 0; first < size; first += tlog::tile_width) {
    const auto name = tlog::tile_at(std::nullopt, first, size);
    AVSEAL_TRY(const auto bundle, source->tile(name));
    AVSEAL_TRY(const auto entries, tlog::read_bundle(bundle, name.width));
    for (const auto entry : entries) leaves.emplace_back(as_text(entry));
  }
  AVSEAL_TRY(const auto starts, segment_starts(directory));
  if (starts.empty()) return leaves;  // a closed log
  const auto keep = [&](const Batch& batch) {
    for (std::size_t i = 0; i < batch.leaves.size(); ++i) {
      if (batch.first_index + i == leaves.size()) leaves.emplace_back(as_text(batch.leaves[i]));
    }
  };
  const auto ignore = [](const std::string&, const SegmentEnd&, ByteView) -> Result<void> { return {}; };
  AVSEAL_CHECK(read_segments(directory, std::nullopt, size, keep, ignore));
  return leaves;
}

}  // namespace avseal::ledger
