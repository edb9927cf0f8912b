#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <sys/types.h>

namespace avseal::ledger {

// The system calls that change what is on disk, so that a test can let them fail, or cut the power between two of them.
// Each behaves as the call it names, errno included; but what is made has the mode that is asked for, whatever the
// umask.
class FileOps {
 public:
  virtual ~FileOps() = default;
  virtual int create(const std::filesystem::path& file, mode_t mode);  // an empty one, for reading and writing
  virtual int open(const std::filesystem::path& file);                 // for reading and writing
  virtual ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset);
  virtual int ftruncate(int fd, off_t size);
  virtual int fdatasync(int fd);
  virtual int preallocate(int fd, off_t offset, off_t size);  // fallocate(FALLOC_FL_KEEP_SIZE)
  virtual int mkdir(const std::filesystem::path& directory, mode_t mode);
  virtual int chmod(const std::filesystem::path& path, mode_t mode);
  virtual int rename(const std::filesystem::path& from, const std::filesystem::path& to);
  virtual int unlink(const std::filesystem::path& file);
  virtual int rmdir(const std::filesystem::path& directory);
  virtual int sync_directory(const std::filesystem::path& directory);                       // open, fsync, close
  virtual std::optional<std::uint64_t> free_bytes(const std::filesystem::path& directory);  // statvfs; empty: it failed
};

}  // namespace avseal::ledger
