// The directory that AVSEAL_FAULTS names: rules come from it, facts go to it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/faults/module/facts.hpp"
#include "tests/faults/module/rules.hpp"

namespace avseal::faults {

using Rules = std::vector<Rule>;

class Directory {
 public:
  // Makes this process's facts. Reason "faults-unusable".
  static Result<std::unique_ptr<Directory>> open(const std::filesystem::path& path);

  [[nodiscard]] Result<std::filesystem::path> real_module() const;
  [[nodiscard]] Facts& facts() { return *facts_; }

  // The rules in force. Another object than before only if the file changed.
  std::shared_ptr<const Rules> rules();

  // Whether the rule strikes at this call: its probability decides, then one of its `times` is taken, of which all
  // processes together have so many.
  bool strikes(const Rule& rule);

  // Appends a line to the file `uses`, whole beside those of other processes.
  void record_use(const std::string& line) const;

 private:
  struct Progress {
    std::uint64_t draws = 0;
    std::uint64_t spent = 0;  // at least so many of its times are
  };

  Directory(std::filesystem::path path, Facts* facts) : path_(std::move(path)), facts_(facts) {}
  void read_rules();
  void report(const std::string& error) const;

  std::filesystem::path path_;
  Facts* facts_;
  std::mutex mutex_;
  std::array<std::uint64_t, 3> stamp_{};  // inode, modification time, size
  std::shared_ptr<const Rules> rules_ = std::make_shared<Rules>();
  std::map<std::string, Progress, std::less<>> progress_;
};

}  // namespace avseal::faults
