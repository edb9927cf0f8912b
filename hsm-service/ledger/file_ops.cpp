#include "ledger/file_ops.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace avseal::ledger {

ssize_t FileOps::pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  return ::pwrite(fd, data, size, offset);
}

int FileOps::fdatasync(int fd) {
  return ::fdatasync(fd);
}

int FileOps::preallocate(int fd, off_t offset, off_t size) {
  return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, size);
}

std::optional<std::uint64_t> FileOps::free_bytes(int directory_fd) {
  struct statvfs info {};
  if (::fstatvfs(directory_fd, &info) != 0) return std::nullopt;
  return std::uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace avseal::ledger
