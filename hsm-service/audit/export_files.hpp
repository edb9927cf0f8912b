// The files of an export, as they are written. Error reason "export-directory".
#pragma once

#include <filesystem>
#include <fstream>
#include <map>

#include "tokens/digest.hpp"
#include "tokens/result.hpp"

namespace avseal::audit {

class ExportFiles {
 public:
  static Result<ExportFiles> make(std::filesystem::path directory);  // is made; must be empty

  Result<void> write(const std::string& path, ByteView bytes);
  Result<void> write(const std::string& path, std::string_view text) { return write(path, as_bytes(text)); }

  // Of a file that is written elsewhere.
  void add(const std::string& path, const tokens::Sha256& digest) { digests_[path] = digest; }
  [[nodiscard]] std::filesystem::path file(const std::string& path) const { return directory_ / path; }
  [[nodiscard]] std::string sums() const;  // of all, as sha256sum writes them; paths ascend

 private:
  explicit ExportFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::filesystem::path directory_;
  std::map<std::string, tokens::Sha256> digests_;
};

// A file that is written piece by piece.
class ExportStream {
 public:
  explicit ExportStream(const std::filesystem::path& file) : out_(file, std::ios::binary | std::ios::trunc) {}
  void append(std::string_view text);
  Result<void> finish(const std::string& path, ExportFiles& files);

 private:
  std::ofstream out_;
  tokens::Sha256Stream digest_;
};

}  // namespace avseal::audit
