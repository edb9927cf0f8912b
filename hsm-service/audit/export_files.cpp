#include "audit/export_files.hpp"

#include <fmt/format.h>

#include "tokens/base64.hpp"

namespace avseal::audit {

namespace {

Error directory_error(const std::filesystem::path& path, std::string_view why) {
  return errors::make(Category::invalid, "export-directory", fmt::format("{}: {}", path.string(), why));
}

}  // namespace

Result<ExportFiles> ExportFiles::make(std::filesystem::path directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed || !std::filesystem::is_empty(directory, failed)) {
    return directory_error(directory, failed ? failed.message() : "expected a new or empty directory");
  }
  return ExportFiles(std::move(directory));
}

Result<void> ExportFiles::write(const std::string& path, ByteView bytes) {
  const auto file = directory_ / path;
  std::error_code failed;
  std::filesystem::create_directories(file.parent_path(), failed);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return directory_error(file, "cannot be written");
  digests_[path] = tokens::sha256(bytes);
  return {};
}

std::string ExportFiles::sums() const {
  std::string out;
  for (const auto& [path, digest] : digests_) out += fmt::format("{}  {}\n", tokens::hex_encode(digest), path);
  return out;
}

void ExportStream::append(std::string_view text) {
  out_ << text;
  digest_.update(as_bytes(text));
}

Result<void> ExportStream::finish(const std::string& path, ExportFiles& files) {
  out_.close();
  if (!out_) return directory_error(files.file(path), "cannot be written");
  files.add(path, digest_.finish());
  return {};
}

}  // namespace avseal::audit
