#include "tlog/source.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::tlog {

namespace {

class Directory final : public Source {
 public:
  explicit Directory(std::filesystem::path directory) : directory_(std::move(directory)) {}

  [[nodiscard]] Result<Bytes> read(const std::string& path) const override {
    const int fd = ::open((directory_ / path).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed(path, errno);
    auto bytes = read_all(path, fd);
    ::close(fd);
    return bytes;
  }
  [[nodiscard]] std::string describe(const std::string& path) const override { return (directory_ / path).string(); }

 private:
  [[nodiscard]] Result<Bytes> read_all(const std::string& path, int fd) const {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return failed(path, errno);
    if (!S_ISREG(info.st_mode)) return failed(path, EISDIR);
    if (static_cast<std::size_t>(info.st_size) > max_bundle_size) return failed(path, EFBIG);
    Bytes bytes(static_cast<std::size_t>(info.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto got = ::read(fd, bytes.data() + done, bytes.size() - done);
      if (got < 0 && errno != EINTR) return failed(path, errno);
      if (got == 0) bytes.resize(done);
      if (got > 0) done += static_cast<std::size_t>(got);
    }
    return bytes;
  }

  [[nodiscard]] Error failed(const std::string& path, int error) const {
    const bool missing = error == ENOENT || error == ENOTDIR;
    return errors::make(missing ? Category::not_found : Category::unavailable,
                        missing ? "log-file-missing" : "log-unreadable",
                        fmt::format("cannot read {}: {}", describe(path), std::strerror(error)));
  }

  std::filesystem::path directory_;
};

}  // namespace

Result<Bytes> Source::tile(const TileName& name) const {
  auto bytes = read(path_of(name));
  if (bytes || name.width == tile_width || bytes.error().category != Category::not_found) return bytes;
  TileName full = name;
  full.width = tile_width;
  auto whole = read(path_of(full));
  if (!whole) return bytes;  // that the partial one is missing tells more
  if (name.level) {
    if (whole->size() > name.width * hash_size) whole->resize(name.width * hash_size);
    return whole;
  }
  AVSEAL_TRY(const auto entries, read_bundle(*whole, tile_width));
  const ByteView last = entries[name.width - 1];
  whole->resize(static_cast<std::size_t>(last.data() + last.size() - whole->data()));
  return whole;
}

std::unique_ptr<Source> open_directory(std::filesystem::path directory) {
  return std::make_unique<Directory>(std::move(directory));
}

}  // namespace avseal::tlog
