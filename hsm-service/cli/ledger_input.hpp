// Which log an auditor's command is about, and whom it believes.
#pragma once

#include "audit/verify.hpp"
#include "cli/operator_client.hpp"
#include "cli/trust_input.hpp"

namespace avseal::cli {

// A node's witnesses sign within seconds, if they are at hand.
inline constexpr std::chrono::seconds cosigning_patience{5};

struct LedgerInput {
  std::string directory;
  OperatorClient service;
  TrustInput trust;

  void add_to(CLI::App& command);  // DIRECTORY or --url; trust

  [[nodiscard]] Result<std::unique_ptr<tlog::Source>> source() const;
  [[nodiscard]] audit::SegmentReader segments() const;  // of a directory that has some
  [[nodiscard]] std::string name() const;               // for people
};

}  // namespace avseal::cli
