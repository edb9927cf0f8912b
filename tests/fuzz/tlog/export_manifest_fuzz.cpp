// What is accepted is what is written, and never a checkpoint.
#include <cstdlib>

#include "tlog/export_manifest.hpp"

using namespace avseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = tlog::ExportManifest::parse(text);
  if (!manifest) return 0;
  if (manifest->text() != text || tlog::Checkpoint::parse(text)) std::abort();
  return 0;
}
