// An HSM's own log, to be compared with the ledger's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "audit/hsm_history.hpp"

namespace avseal::cli {

struct HsmLog {
  std::vector<std::pair<std::string, std::string>> outputs;  // names and texts of files
  std::vector<audit::HsmKey> keys;
  std::uint64_t tests = 0;
};

struct HsmLogInput {
  std::vector<std::string> files;
  std::string profile;
  std::string profile_directory = "/usr/share/avseal/profiles";
  std::vector<std::string> keys;  // NAME=0xID
  std::uint64_t tests = 0;

  void add_to(CLI::App& command, CLI::Option* since);
  [[nodiscard]] Result<std::optional<HsmLog>> read() const;  // nothing: none is given
};

}  // namespace avseal::cli
