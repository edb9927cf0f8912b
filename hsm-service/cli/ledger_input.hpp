// Which log an auditor's command is about, and whom it believes.
#pragma once

#include "audit/verify.hpp"
#include "cli/operator_client.hpp"

namespace avseal::cli {

struct LedgerInput {
  std::string directory;
  OperatorClient service;
  std::vector<std::string> vkeys;
  std::string policy;

  void add_to(CLI::App& command);  // DIRECTORY or --url, --vkey or --policy

  [[nodiscard]] Result<std::unique_ptr<tlog::Source>> source() const;
  [[nodiscard]] Result<audit::Trust> trust() const;
  [[nodiscard]] Result<tlog::Policy> trusted_policy() const;  // the keys as one, if they are all that is given
  [[nodiscard]] audit::SegmentReader segments() const;        // of a directory that has some
  [[nodiscard]] std::string name() const;                     // for people
};

}  // namespace avseal::cli
