// Paths of tiles, and the contents of bundles and tiles.
#include <cstdlib>

#include "tlog/tile.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  if (const auto name = tlog::parse_tile_path(as_text(bytes)); name && tlog::path_of(*name) != as_text(bytes)) {
    std::abort();
  }
  if (size == 0) return 0;
  const unsigned width = data[0] + 1U;
  if (const auto entries = tlog::read_bundle(bytes.subspan(1), width)) {
    Bytes again;
    for (const auto entry : *entries) tlog::append_entry(again, entry);
    if (entries->size() != width || as_text(again) != as_text(bytes.subspan(1))) std::abort();
  }
  if (const auto hashes = tlog::read_tile(bytes.subspan(1), width); hashes && hashes->size() != width) std::abort();
  return 0;
}
