#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace avseal::ledger {

// The system calls that make a leaf durable, so that a test can let them fail. Each behaves as the call it names, errno
// included.
class FileOps {
 public:
  virtual ~FileOps() = default;
  virtual ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset);
  virtual int fdatasync(int fd);
  virtual int preallocate(int fd, off_t offset, off_t size);          // fallocate(FALLOC_FL_KEEP_SIZE)
  virtual std::optional<std::uint64_t> free_bytes(int directory_fd);  // fstatvfs; empty: it failed
};

}  // namespace avseal::ledger
