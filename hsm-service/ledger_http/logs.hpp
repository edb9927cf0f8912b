#pragma once

#include "ledger/ledger.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/source.hpp"

namespace avseal::ledger_http {

// A log of the node as callers see it: no further than its published checkpoint.
struct Log {
  std::filesystem::path directory;
  tlog::Checkpoint head;
  std::string note;  // the checkpoint as it is published
  bool closed = false;

  [[nodiscard]] bool covers(const tlog::TileName& name) const;
};

// The current log and those of earlier periods, which stand in closed/<year>/ and do not change.
class Logs {
 public:
  Logs(std::filesystem::path directory, ledger::Ledger& ledger) : directory_(std::move(directory)), ledger_(ledger) {}

  // "ledger-no-checkpoint" (unavailable) before the first one.
  [[nodiscard]] Result<Log> current() const;
  [[nodiscard]] Log of(ledger::Published published) const;  // the current log up to there
  // Reads the disk. "ledger-log-unknown" (not_found).
  [[nodiscard]] Result<Log> closed(std::string_view year) const;
  // That of a year, or the current one if `year` is empty.
  [[nodiscard]] Result<Log> find(std::string_view year) const;

 private:
  std::filesystem::path directory_;
  ledger::Ledger& ledger_;
};

}  // namespace avseal::ledger_http
