#include "ledger/directory_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "ledger/errors.hpp"

namespace avseal::ledger {

Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& path) {
  const auto parent = std::filesystem::absolute(path).lexically_normal().parent_path();
  std::error_code failed;
  if (std::filesystem::create_directories(parent, failed); failed) {
    return errors::unavailable("cannot create", parent, failed.value());
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return errors::unavailable("cannot create", path, errno);
  const FileDescriptor above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above || ::fsync(above.get()) != 0) return errors::unavailable("cannot sync", parent, errno);
  FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errors::unavailable("cannot open", path, errno);
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return DirectoryLock(std::move(directory));
  if (errno == EWOULDBLOCK) return errors::locked(path);
  return errors::unavailable("cannot lock", path, errno);
}

}  // namespace avseal::ledger
