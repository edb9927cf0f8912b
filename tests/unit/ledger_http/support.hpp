#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temp_dir.hpp"
#include "ledger_http/logs.hpp"

namespace avseal::ledger_http::test {

using avseal::test::TempDir;

inline const std::string node = "test.example/node-1";
inline const std::string kid(43, 'k');

// A leaf as the ledger writes it, with what tests look for.
inline std::string leaf(std::uint64_t index, std::int64_t time, std::string_view event = "sign.avatar-id",
                        std::string_view client = "ims-as") {
  return fmt::format(
      R"({{"actor":"x5t-{0}","client":"{0}","event":"{1}","index":{2},"keys":[{{"digest":"{3}","key":"avatar-id",)"
      R"("kid":"{4}","outcome":"signed","sequence":{5},"worker":"w"}}],"outcome":"released","request":"r-{2}","time":{6}}})",
      client, event, index, std::string(43, 'd'), kid, index + 1, time);
}

// Entry bundles in the directory, and the log that they are of.
inline Log write_log(const std::filesystem::path& directory, const std::vector<std::string>& leaves) {
  for (std::size_t first = 0; first < leaves.size(); first += tlog::tile_width) {
    const auto width = std::min<std::size_t>(tlog::tile_width, leaves.size() - first);
    Bytes bundle;
    for (std::size_t i = first; i < first + width; ++i) tlog::append_entry(bundle, as_bytes(leaves[i]));
    const auto file = directory / tlog::path_of({std::nullopt, first / tlog::tile_width, static_cast<unsigned>(width)});
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << as_text(bundle);
  }
  return {directory, {node + "/2026", leaves.size(), {}}, {}, false};
}

}  // namespace avseal::ledger_http::test
