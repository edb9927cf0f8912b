#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace avseal::test {

// A directory that goes with its object, everything in it too. Its path is short: socket paths have room for 108 bytes.
class TempDir {
 public:
  explicit TempDir(const std::string& parent = "/tmp") {
    std::string name = parent + "/avseal-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    namespace fs = std::filesystem;
    std::error_code ignored;
    for (fs::recursive_directory_iterator at(path_, ignored); at != fs::recursive_directory_iterator();
         at.increment(ignored)) {
      if (at->symlink_status(ignored).type() != fs::file_type::directory) continue;
      fs::permissions(at->path(), fs::perms::owner_write, fs::perm_options::add, ignored);
    }
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::filesystem::path write(const std::string& name, std::string_view text,
                              std::filesystem::perms mode = std::filesystem::perms(0600)) const {
    const auto file = path_ / name;
    std::ofstream(file, std::ios::binary) << text;
    std::filesystem::permissions(file, mode);
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace avseal::test
