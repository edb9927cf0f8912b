#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tokend/listener.hpp"
#include "tokens/result.hpp"

namespace avseal::tokend {

// A small file in the state directory that processes read and replace one after the other: whoever has this object has
// the file for itself. Reason of all errors: "state-unusable".
class StateFile {
 public:
  static Result<StateFile> lock(const std::filesystem::path& directory, std::string_view name);  // waits its turn

  [[nodiscard]] Result<std::optional<std::string>> read() const;       // nothing where there is no file
  [[nodiscard]] Result<void> replace(std::string_view content) const;  // on disk, whole or not at all

 private:
  StateFile(std::filesystem::path file, Descriptor lock) : file_(std::move(file)), lock_(std::move(lock)) {}

  std::filesystem::path file_;
  Descriptor lock_;
};

}  // namespace avseal::tokend
