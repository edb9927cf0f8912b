// What a drill found, as a table to read and as JSON to file with an audit.
#pragma once

#include <filesystem>
#include <span>

#include <boost/json.hpp>

#include "cli/drill_rows.hpp"
#include "tokens/clock.hpp"

namespace avseal::cli {

struct DrillReport {
  UnixSeconds begun;
  std::string url;
  std::string token;                                 // the one that was disturbed
  bool replicas = false;                             // others had its keys
  std::vector<std::filesystem::path> configuration;  // files whose digests are filed
  boost::json::value service;                        // what the service says of itself (readyz)
  boost::json::value tokens;                         // and of its tokens
  std::vector<DrillOutcome> outcomes;

  [[nodiscard]] bool passed() const;
};

void print_drill_heading();
void print_drill_row(const DrillOutcome& outcome);
Result<boost::json::object> to_json(const DrillReport& report);

}  // namespace avseal::cli
