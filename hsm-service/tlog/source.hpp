#pragma once

#include <filesystem>
#include <memory>

#include "tlog/tile.hpp"

namespace avseal::tlog {

// Where the files of one log are read from, by their paths ("checkpoint", "tile/0/000"). Thread-safe. Error reasons:
// "log-file-missing" (category not_found), "log-unreadable".
class Source {
 public:
  virtual ~Source() = default;
  [[nodiscard]] virtual Result<Bytes> read(const std::string& path) const = 0;
  [[nodiscard]] virtual std::string describe(const std::string& path) const = 0;  // a file name or URL, for people

  // A tile; the full one where a partial one is gone, cut to the width that was asked for.
  [[nodiscard]] Result<Bytes> tile(const TileName& name) const;
};

std::unique_ptr<Source> open_directory(std::filesystem::path directory);

}  // namespace avseal::tlog
