#include "tokend/state_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::tokend {

namespace {

constexpr std::size_t max_size = 4096;

Error unusable(const std::filesystem::path& file, std::string_view what) {
  return errors::make(Category::unavailable, "state-unusable",
                      fmt::format("{}: {}; the worker's user must be able to read and write it", file.string(), what));
}

Error last_error(const std::filesystem::path& file) {
  return unusable(file, std::strerror(errno));
}

}  // namespace

Result<StateFile> StateFile::lock(const std::filesystem::path& directory, std::string_view name) {
  const std::filesystem::path file = directory / name;
  const std::filesystem::path lock_file = file.string() + ".lock";
  Descriptor lock(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.get() < 0) return last_error(lock_file);
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return last_error(lock_file);
  }
  return StateFile(file, std::move(lock));
}

Result<std::optional<std::string>> StateFile::read() const {
  const Descriptor in(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (in.get() < 0 && errno == ENOENT) return std::optional<std::string>();
  std::array<char, max_size + 1> buffer{};
  const ssize_t size = in.get() < 0 ? -1 : ::read(in.get(), buffer.data(), buffer.size());
  if (size < 0) return last_error(file_);
  if (static_cast<std::size_t>(size) > max_size) return unusable(file_, "expected at most 4 KiB");
  return std::optional<std::string>(std::in_place, buffer.data(), static_cast<std::size_t>(size));
}

Result<void> StateFile::replace(std::string_view content) const {
  const std::filesystem::path fresh = file_.string() + ".new";
  {
    const Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (out.get() < 0) return last_error(fresh);
    const ssize_t written = ::write(out.get(), content.data(), content.size());
    if (written < 0 || ::fsync(out.get()) != 0) return last_error(fresh);
    if (static_cast<std::size_t>(written) != content.size()) return unusable(fresh, "the disk is full");
  }
  if (::rename(fresh.c_str(), file_.c_str()) != 0) return last_error(file_);
  const Descriptor directory(::open(file_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return last_error(file_.parent_path());
  return {};
}

}  // namespace avseal::tokend
