#include "ledger/file_ops.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace avseal::ledger {

int FileOps::create(const std::filesystem::path& file, mode_t mode) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0 || ::fchmod(fd, mode) == 0) return fd;
  const int failed = errno;
  ::close(fd);
  errno = failed;
  return -1;
}

int FileOps::open(const std::filesystem::path& file) {
  return ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

ssize_t FileOps::pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  return ::pwrite(fd, data, size, offset);
}

int FileOps::ftruncate(int fd, off_t size) {
  return ::ftruncate(fd, size);
}

int FileOps::fdatasync(int fd) {
  return ::fdatasync(fd);
}

int FileOps::preallocate(int fd, off_t offset, off_t size) {
  return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, size);
}

int FileOps::mkdir(const std::filesystem::path& directory, mode_t mode) {
  const int made = ::mkdir(directory.c_str(), mode);
  return made == 0 ? ::chmod(directory.c_str(), mode) : made;
}

int FileOps::chmod(const std::filesystem::path& path, mode_t mode) {
  return ::chmod(path.c_str(), mode);
}

int FileOps::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  return ::rename(from.c_str(), to.c_str());
}

int FileOps::unlink(const std::filesystem::path& file) {
  return ::unlink(file.c_str());
}

int FileOps::rmdir(const std::filesystem::path& directory) {
  return ::rmdir(directory.c_str());
}

int FileOps::sync_directory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  const int done = ::fsync(fd);
  const int failed = errno;
  ::close(fd);
  errno = failed;
  return done;
}

std::optional<std::uint64_t> FileOps::free_bytes(const std::filesystem::path& directory) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0) return std::nullopt;
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace avseal::ledger
