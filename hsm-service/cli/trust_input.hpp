// Whom an auditor's command believes.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tlog/policy.hpp"

namespace avseal::cli {

struct TrustInput {
  std::vector<std::string> vkeys;  // each in a file, or itself
  std::string policy;

  void add_to(CLI::App& command);  // --vkey, --policy
  [[nodiscard]] bool given() const { return !vkeys.empty() || !policy.empty(); }
  // The keys stand in it as logs; if they are all that is given, it asks for no witness.
  [[nodiscard]] Result<tlog::Policy> read() const;
};

}  // namespace avseal::cli
