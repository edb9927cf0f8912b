#pragma once

#include <filesystem>

#include "ledger/file_descriptor.hpp"
#include "tokens/result.hpp"

namespace avseal::ledger {

// A ledger directory that no other process may open; until this dies.
class DirectoryLock {
 public:
  // Creates the directory if need be. Errors "ledger-locked", "ledger-unavailable".
  static Result<DirectoryLock> take(const std::filesystem::path& directory);

 private:
  explicit DirectoryLock(FileDescriptor directory) noexcept : directory_(std::move(directory)) {}
  FileDescriptor directory_;
};

}  // namespace avseal::ledger
