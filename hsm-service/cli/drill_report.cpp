#include "cli/drill_report.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/opensslv.h>

#include "cli/act.hpp"
#include "tokens/digest.hpp"

namespace avseal::cli {

namespace {

Result<std::string> digest_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) return errors::make(Category::invalid, "drill-file", fmt::format("cannot read {}", file.string()));
  const tokens::Sha256 digest = tokens::sha256(as_bytes(content));
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string utc(UnixSeconds time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time));
}

boost::json::object to_json(const DrillOutcome& outcome) {
  boost::json::object statuses;
  for (const auto& [status, count] : outcome.load.statuses) statuses[std::to_string(status)] = count;
  boost::json::object errors;
  for (const auto& [error, count] : outcome.load.errors) errors[error] = count;
  boost::json::object row{{"row", outcome.row->name},
                          {"fault", outcome.row->fault},
                          {"rules", boost::json::value_from(rules_of(*outcome.row))},
                          {"sent", outcome.load.sent},
                          {"answered", outcome.answered},
                          {"failed", outcome.failed},
                          {"statuses", std::move(statuses)},
                          {"errors", std::move(errors)},
                          {"discarded_attempts", outcome.discarded},
                          {"longest_pause_ms", milliseconds(outcome.load.longest_pause)},
                          {"latency_p99_ms", outcome.load.latencies.percentile_ms(0.99)},
                          {"verdict", outcome.passed ? "kept" : "broken"}};
  if (outcome.recovered) row["recovery_ms"] = outcome.recovery.count();
  if (!outcome.passed) row["why"] = outcome.why_not;
  return row;
}

}  // namespace

bool DrillReport::passed() const {
  return !outcomes.empty() &&
         std::all_of(outcomes.begin(), outcomes.end(), [](const DrillOutcome& outcome) { return outcome.passed; });
}

void print_drill_heading() {
  fmt::print("{:<16} {:<54} {:>7} {:>8} {:>6} {:>9} {:>11} {:>9}  {}\n", "row", "fault", "sent", "answered", "failed",
             "discarded", "recovery ms", "pause ms", "promise");
}

void print_drill_row(const DrillOutcome& outcome) {
  const std::string recovery = outcome.recovered ? std::to_string(outcome.recovery.count()) : "-";
  fmt::print("{:<16} {:<54} {:>7} {:>8} {:>6} {:>9} {:>11} {:>9.0f}  {}\n", outcome.row->name, outcome.row->fault,
             outcome.load.sent, outcome.answered, outcome.failed, outcome.discarded, recovery,
             milliseconds(outcome.load.longest_pause), outcome.passed ? "kept" : "BROKEN: " + outcome.why_not);
  std::fflush(stdout);
}

Result<boost::json::object> to_json(const DrillReport& report) {
  boost::json::array configuration;
  for (const auto& file : report.configuration) {
    AVSEAL_TRY(const std::string digest, digest_of(file));
    configuration.push_back(boost::json::object{{"file", file.string()}, {"sha256", digest}});
  }
  boost::json::array rows;
  for (const DrillOutcome& outcome : report.outcomes) rows.push_back(to_json(outcome));
  return boost::json::object{{"form", "avseal-drill-1"},   {"held_by", terminal()},
                             {"begun", utc(report.begun)}, {"ended", utc(to_unix(system_clock_now()))},
                             {"avseal", AVSEAL_VERSION},   {"openssl", OPENSSL_VERSION_TEXT},
                             {"url", report.url},          {"configuration", std::move(configuration)},
                             {"service", report.service},  {"tokens", report.tokens},
                             {"disturbed", report.token},  {"replicas", report.replicas},
                             {"rows", std::move(rows)},    {"passed", report.passed()}};
}

}  // namespace avseal::cli
