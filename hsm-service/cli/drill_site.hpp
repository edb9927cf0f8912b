// The fault module's directory, as a drill uses it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/faults/module/facts.hpp"
#include "tokens/result.hpp"

namespace avseal::cli {

struct DrillWorker {
  long pid = 0;
  std::string token;             // label
  std::uint64_t signatures = 0;  // made so far
  std::uint64_t injected = 0;
};

class DrillSite {
 public:
  explicit DrillSite(std::filesystem::path faults) : faults_(std::move(faults)) {}
  DrillSite(const DrillSite&) = delete;
  DrillSite& operator=(const DrillSite&) = delete;
  ~DrillSite() { clear(); }

  // Of running processes. Reason "drill-site" if the directory is none of the fault module.
  [[nodiscard]] Result<std::vector<DrillWorker>> workers() const;
  [[nodiscard]] std::optional<DrillWorker> worker(const std::string& token) const;
  [[nodiscard]] std::uint64_t injected() const;  // in all processes so far, ended ones too

  // Rules of the token's in place of all others; they end by themselves after two minutes, should the drill be killed.
  Result<void> disturb(const std::vector<std::string>& rules, const std::string& token);
  void clear();
  // What the module says against the rules, or nothing.
  [[nodiscard]] std::string complaint() const;

 private:
  Result<void> write(const std::string& rules);

  std::filesystem::path faults_;
  unsigned count_ = 0;
};

}  // namespace avseal::cli
