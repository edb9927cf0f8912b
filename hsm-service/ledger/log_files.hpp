#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "ledger/file_ops.hpp"
#include "tokens/bytes.hpp"
#include "tokens/result.hpp"

namespace avseal::ledger {

// A file of a log: its path below the directory ("tile/0/000") and what it holds.
struct LogFile {
  std::string path;
  Bytes bytes;
};

// Writes the files of a log so that each is whole or not there, after a crash too. For one thread.
class LogFiles {
 public:
  LogFiles(std::filesystem::path directory, std::shared_ptr<FileOps> ops)
      : directory_(std::move(directory)), ops_(std::move(ops)) {}

  // All of them, on disk under their names when it returns. "ledger-full": try again; any other error is for good.
  Result<void> write(std::span<const LogFile> files);

  // Removes the partial forms of a full tile or bundle, best effort: what is left of them does no harm.
  void remove_partials(const std::string& path);
  void remove(const std::filesystem::path& name);

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  Result<void> write_group(std::span<const LogFile> files);
  Result<void> make_directories(const std::filesystem::path& relative);

  std::filesystem::path directory_;
  std::shared_ptr<FileOps> ops_;
  std::set<std::filesystem::path> known_;  // directories, relative, that are there
  std::set<std::filesystem::path> dirty_;  // directories, relative, with names that are not on disk
};

}  // namespace avseal::ledger
