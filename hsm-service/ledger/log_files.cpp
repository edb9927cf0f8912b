#include "ledger/log_files.hpp"

#include <cerrno>

#include "ledger/errors.hpp"
#include "ledger/file_descriptor.hpp"

namespace avseal::ledger {

namespace {

constexpr std::size_t group_size = 64;  // files that are open at a time

std::string unfinished_name(std::size_t number) {
  return fmt::format("new-{}", number);
}

}  // namespace

Result<void> LogFiles::write(std::span<const LogFile> files) {
  while (!files.empty()) {
    const auto group = files.first(std::min(files.size(), group_size));
    if (auto written = write_group(group); !written) {
      for (std::size_t i = 0; i < group.size(); ++i) ops_->unlink(directory_ / unfinished_name(i));
      return written;
    }
    files = files.subspan(group.size());
  }
  for (const auto& directory : dirty_) {
    if (ops_->sync_directory(directory_ / directory) != 0) return errors::not_synced(directory_ / directory, errno);
  }
  dirty_.clear();
  return {};
}

Result<void> LogFiles::write_group(std::span<const LogFile> files) {
  std::vector<FileDescriptor> open;
  for (const auto& file : files) {
    const auto unfinished = directory_ / unfinished_name(open.size());
    open.emplace_back(ops_->create(unfinished, 0644));
    if (!open.back()) return errors::not_done("cannot create", unfinished, errno);
    std::size_t done = 0;
    while (done < file.bytes.size()) {
      const auto n =
          ops_->pwrite(open.back().get(), file.bytes.data() + done, file.bytes.size() - done, static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n == 0) errno = EIO;
      if (n <= 0) return errors::not_done("cannot write", directory_ / file.path, errno);
      done += static_cast<std::size_t>(n);
    }
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::filesystem::path path(files[i].path);
    if (ops_->fdatasync(open[i].get()) != 0) {
      return errors::unavailable("cannot sync", directory_ / path, errno);  // whatever it says, the page cache may lie
    }
    AVSEAL_CHECK(make_directories(path.parent_path()));
    if (ops_->rename(directory_ / unfinished_name(i), directory_ / path) != 0) {
      return errors::not_done("cannot name", directory_ / path, errno);
    }
    dirty_.insert(path.parent_path());
  }
  return {};
}

Result<void> LogFiles::make_directories(const std::filesystem::path& relative) {
  if (relative.empty() || known_.contains(relative)) return {};
  AVSEAL_CHECK(make_directories(relative.parent_path()));
  if (ops_->mkdir(directory_ / relative, 0755) != 0 && errno != EEXIST) {
    return errors::not_done("cannot create", directory_ / relative, errno);
  }
  dirty_.insert(relative.parent_path());  // also of one that was there: a crash may have left its name in memory alone
  known_.insert(relative);
  return {};
}

void LogFiles::remove_partials(const std::string& path) {
  const std::filesystem::path partials = path + ".p";
  std::error_code failed;
  for (std::filesystem::directory_iterator entries(directory_ / partials, failed);
       !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed)) {
    ops_->unlink(entries->path());
  }
  if (ops_->rmdir(directory_ / partials) == 0) known_.erase(partials);
}

void LogFiles::remove(const std::filesystem::path& name) {
  ops_->unlink(directory_ / name);
}

}  // namespace avseal::ledger
