#include "cut_disk.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace avseal::ledger::test {

namespace {

constexpr std::size_t sector = 64;  // smaller than real ones: tears more

int fail(int error) {
  errno = error;
  return -1;
}

// Whether this is the call; then it does not come again.
bool comes(std::uint64_t& at) {
  if (at == UINT64_MAX || --at != 0) return false;
  at = UINT64_MAX;
  return true;
}

// A name below `from`, as it is below `to`.
std::string moved(const std::string& name, const std::string& from, const std::string& to) {
  const bool below = name == from || name.starts_with(from + "/");
  return below ? to + name.substr(from.size()) : name;
}

template <class Value>
std::map<std::string, Value> moved(const std::map<std::string, Value>& names, const std::string& from,
                                   const std::string& to) {
  std::map<std::string, Value> out;
  for (const auto& [name, value] : names) out.emplace(moved(name, from, to), value);
  return out;
}

}  // namespace

bool CutDisk::step(std::string_view call) {
  if (cut_at_ == 0) return false;
  if (cut_at_ != UINT64_MAX && --cut_at_ == 0) return false;
  if (!comes(fail_at_)) return true;
  failed_ = call;
  return false;
}

// Also of a full disk.
bool CutDisk::fails(std::string_view call) {
  if (!step(call)) {
    errno = EIO;
    return true;
  }
  if (!comes(full_at_)) return false;
  errno = ENOSPC;
  return true;
}

CutDisk::Name CutDisk::name_of(const std::filesystem::path& path) const {
  const auto name = path.lexically_normal().lexically_relative(directory()).string();
  return name == "." ? Name() : name;
}

CutDisk::Name CutDisk::parent_of(const Name& name) {
  return std::filesystem::path(name).parent_path().string();
}

void CutDisk::change_name(NameChange change) {
  change.directory = parent_of(change.name);
  name_changes_.push_back(std::move(change));
}

void CutDisk::make_durable(const NameChange& change) {
  if (change.is_directory && !change.moved_from.empty()) {
    durable_files_ = moved(durable_files_, change.moved_from, change.name);
    std::set<Name> directories;
    for (const auto& name : durable_directories_) directories.insert(moved(name, change.moved_from, change.name));
    durable_directories_ = std::move(directories);
    return;
  }
  if (!change.moved_from.empty()) durable_files_.erase(change.moved_from);
  if (change.is_directory) {
    durable_directories_.insert(change.name);
  } else if (change.file) {
    durable_files_[change.name] = change.file;
  } else {
    durable_files_.erase(change.name);
    durable_directories_.erase(change.name);
  }
}

int CutDisk::create(const std::filesystem::path& file, mode_t mode) {
  if (fails("create")) return -1;
  const int fd = FileOps::create(file, mode);
  if (fd < 0) return fd;
  const auto name = name_of(file);
  auto& known = files_[name];
  if (known) {
    known->changes.push_back({0, 0, {}});
  } else {
    known = std::make_shared<File>();
    change_name({{}, name, known, false, {}});
  }
  open_[fd] = known;
  return fd;
}

int CutDisk::open(const std::filesystem::path& file) {
  if (!step("open")) return fail(EIO);
  const int fd = FileOps::open(file);
  if (fd >= 0) open_[fd] = files_.at(name_of(file));
  return fd;
}

ssize_t CutDisk::pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  if (is_cut()) return fail(EIO);
  const bool failed = fails("pwrite");
  const int error = errno;
  if (failed && !is_cut()) size /= 2;  // some of it is written
  open_.at(fd)->changes.push_back(
      {std::nullopt, static_cast<std::size_t>(offset), {static_cast<const char*>(data), size}});
  const auto done = FileOps::pwrite(fd, data, size, offset);
  return failed ? fail(error) : done;
}

int CutDisk::ftruncate(int fd, off_t size) {
  if (!step("ftruncate")) return fail(EIO);
  open_.at(fd)->changes.push_back({static_cast<std::size_t>(size), 0, {}});
  return FileOps::ftruncate(fd, size);
}

int CutDisk::fdatasync(int fd) {
  const bool synced = step("fdatasync");
  if (is_cut()) return fail(EIO);
  auto& file = *open_.at(fd);
  if (synced) {
    for (const auto& change : file.changes) apply(file.durable, change);
  } else {
    file.durable = survivor(file);
  }
  file.changes.clear();
  return synced ? 0 : fail(EIO);
}

int CutDisk::preallocate(int, off_t, off_t) {
  return fails("preallocate") ? -1 : 0;
}

int CutDisk::mkdir(const std::filesystem::path& path, mode_t mode) {
  if (fails("mkdir")) return -1;
  const int done = FileOps::mkdir(path, mode);
  if (done == 0) change_name({{}, name_of(path), nullptr, true, {}});
  return done;
}

int CutDisk::chmod(const std::filesystem::path& path, mode_t mode) {
  return step("chmod") ? FileOps::chmod(path, mode) : fail(EIO);
}

int CutDisk::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (fails("rename")) return -1;
  const int done = FileOps::rename(from, to);
  if (done != 0) return done;
  const auto old_name = name_of(from);
  const auto name = name_of(to);
  if (std::filesystem::is_directory(to)) return move_directory(old_name, name);
  auto file = files_.at(old_name);
  files_.erase(old_name);
  files_[name] = file;
  const bool same = parent_of(old_name) == parent_of(name);
  change_name({{}, name, std::move(file), false, same ? old_name : Name()});
  if (!same) change_name({{}, old_name, nullptr, false, {}});
  return 0;
}

// What waits inside it to become durable goes along.
int CutDisk::move_directory(const Name& from, const Name& to) {
  files_ = moved(files_, from, to);
  for (auto& change : name_changes_) {
    change.directory = moved(change.directory, from, to);
    change.name = moved(change.name, from, to);
  }
  change_name({{}, to, nullptr, true, from});
  return 0;
}

int CutDisk::unlink(const std::filesystem::path& file) {
  if (!step("unlink")) return fail(EIO);
  const int done = FileOps::unlink(file);
  if (done != 0) return done;
  files_.erase(name_of(file));
  change_name({{}, name_of(file), nullptr, false, {}});
  return 0;
}

int CutDisk::rmdir(const std::filesystem::path& path) {
  if (!step("rmdir")) return fail(EIO);
  const int done = FileOps::rmdir(path);
  if (done == 0) change_name({{}, name_of(path), nullptr, false, {}});
  return done;
}

int CutDisk::sync_directory(const std::filesystem::path& path) {
  if (!step("sync_directory")) return fail(EIO);
  const auto name = name_of(path);
  std::vector<NameChange> rest;
  for (auto& change : name_changes_) {
    if (change.directory == name) {
      make_durable(change);
    } else {
      rest.push_back(std::move(change));
    }
  }
  name_changes_ = std::move(rest);
  return 0;
}

void CutDisk::apply(std::string& content, const Change& change) {
  if (change.size) {
    content.resize(*change.size);
    return;
  }
  if (content.size() < change.offset + change.bytes.size()) content.resize(change.offset + change.bytes.size());
  content.replace(change.offset, change.bytes.size(), change.bytes);
}

// Of each change since the last sync: all, nothing, or any of its sectors.
std::string CutDisk::survivor(const File& file) {
  auto content = file.durable;
  for (const auto& change : file.changes) {
    const auto fate = pick(3);
    if (fate == 0) apply(content, change);
    if (fate != 0) ++lost_;
    if (fate != 2 || change.size) continue;
    for (std::size_t at = 0; at < change.bytes.size(); at += sector) {
      if (pick(2) == 0) apply(content, {std::nullopt, change.offset + at, change.bytes.substr(at, sector)});
    }
  }
  return content;
}

void CutDisk::restore() {
  for (const auto& change : name_changes_) {
    if (pick(2) == 0) {
      make_durable(change);
    } else {
      ++lost_;
    }
  }
  name_changes_.clear();
  open_.clear();
  ++generation_;
  std::filesystem::create_directory(directory());
  auto directories = std::exchange(durable_directories_, {});
  for (const auto& name : directories) {  // parents come first
    std::error_code missing_parent;
    if (std::filesystem::create_directory(directory() / name, missing_parent)) durable_directories_.insert(name);
  }
  files_.clear();
  for (const auto& [name, file] : durable_files_) {
    const auto parent = parent_of(name);
    if (!parent.empty() && !durable_directories_.contains(parent)) continue;
    auto after = std::make_shared<File>();
    after->durable = survivor(*file);
    std::ofstream(directory() / name, std::ios::binary) << after->durable;
    files_[name] = after;
  }
  durable_files_ = files_;
  cut_at_ = full_at_ = fail_at_ = UINT64_MAX;
}

}  // namespace avseal::ledger::test
