// A disk whose power can be cut: what was synced stays, of all else any part.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../support/temp_dir.hpp"
#include "ledger/file_ops.hpp"

namespace avseal::ledger::test {

// Passes calls on to files below its own directory, and remembers what of them is durable. The power fails at one call:
// that one and all later ones fail. Or one call alone fails, with the power on: of what a failed fdatasync() was to
// write, any part is on disk, and no later one writes the rest, which stays in memory and counts as clean there; what a
// failed sync_directory() left, a later one does. Not modelled: files that are removed while they are open.
class CutDisk final : public FileOps {
 public:
  explicit CutDisk(std::uint64_t seed) : random_(seed) { std::filesystem::create_directory(directory()); }

  [[nodiscard]] std::filesystem::path directory() const { return live_ / std::to_string(generation_); }
  // Calls are counted from now.
  void cut_at(std::uint64_t call) { cut_at_ = call; }
  void fill_at(std::uint64_t call) { full_at_ = call; }  // of those that need room; once
  void fail_at(std::uint64_t call) { fail_at_ = call; }  // EIO, once
  [[nodiscard]] bool is_cut() const { return cut_at_ == 0; }
  // The call that failed with the power on and the disk not full, since this was last asked; empty: none.
  std::string take_failed() { return std::exchange(failed_, {}); }
  bool step(std::string_view call);  // counts it; false: it fails
  void restore();                    // what the cut left, in another directory(); the power is back
  [[nodiscard]] std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  [[nodiscard]] std::size_t lost() const { return lost_; }  // changes that cuts undid, so far

  int create(const std::filesystem::path& file, mode_t mode) override;
  int open(const std::filesystem::path& file) override;
  ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) override;
  int ftruncate(int fd, off_t size) override;
  int fdatasync(int fd) override;
  int preallocate(int fd, off_t offset, off_t size) override;
  int mkdir(const std::filesystem::path& path, mode_t mode) override;
  int chmod(const std::filesystem::path& path, mode_t mode) override;
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  int unlink(const std::filesystem::path& file) override;
  int rmdir(const std::filesystem::path& path) override;
  int sync_directory(const std::filesystem::path& path) override;
  std::optional<std::uint64_t> free_bytes(const std::filesystem::path&) override { return 1ULL << 40; }

 private:
  using Name = std::string;  // below directory()
  struct Change {            // of a file: bytes at an offset, or its size
    std::optional<std::size_t> size;
    std::size_t offset = 0;
    std::string bytes;
  };
  struct File {
    std::string durable;
    std::vector<Change> changes;
  };
  struct NameChange {  // of a directory: what has a name from now on
    Name directory;
    Name name;
    std::shared_ptr<File> file;  // empty: nothing, or a directory
    bool is_directory = false;
    Name moved_from;  // the name that goes with it: of the same directory, or of a directory with all that is in it
  };

  [[nodiscard]] Name name_of(const std::filesystem::path& path) const;
  static Name parent_of(const Name& name);
  bool fails(std::string_view call);
  void change_name(NameChange change);
  int move_directory(const Name& from, const Name& to);
  void make_durable(const NameChange& change);
  static void apply(std::string& content, const Change& change);
  std::string survivor(const File& file);

  avseal::test::TempDir temporary_{"/dev/shm"};  // what is durable is this class's to say
  std::filesystem::path live_ = temporary_.path();
  unsigned generation_ = 0;
  std::mt19937_64 random_;
  std::uint64_t cut_at_ = UINT64_MAX;
  std::uint64_t full_at_ = UINT64_MAX;
  std::uint64_t fail_at_ = UINT64_MAX;
  std::string failed_;
  std::size_t lost_ = 0;
  std::map<int, std::shared_ptr<File>> open_;
  std::map<Name, std::shared_ptr<File>> files_;  // as the process sees them
  std::map<Name, std::shared_ptr<File>> durable_files_;
  std::set<Name> durable_directories_;
  std::vector<NameChange> name_changes_;  // that are not durable
};

}  // namespace avseal::ledger::test
