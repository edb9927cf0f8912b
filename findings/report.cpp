#include "findings/report.hpp"

#include <array>

#include <boost/json.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "tokens/json.hpp"

namespace avseal::doctor {
namespace {

constexpr std::array by_severity{Severity::ok, Severity::note, Severity::warning, Severity::error};

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string entry(const Finding& finding) {
  std::string out = fmt::format("{:<8} {:<30} {}\n", to_string(finding.severity), finding.id, finding.subject);
  const auto line = [&out](std::string_view title, const std::string& text) {
    if (!text.empty()) out += fmt::format("         {:<9} {}\n", title, text);
  };
  line("found", finding.found);
  line("expected", finding.expected);
  line("do", finding.action);
  return out;
}

}  // namespace

std::string as_text(const Report& report) {
  const auto& findings = report.findings;
  std::string out;
  for (const auto severity : by_severity) {
    for (const auto& finding : findings.all()) {
      if (finding.severity != severity) continue;
      out += severity == Severity::ok
                 ? fmt::format("{:<8} {:<30} {}: {}\n", "ok", finding.id, finding.subject, finding.found)
                 : entry(finding);
    }
  }
  return out + fmt::format("\n{}: {}, {}, {}, {} fine\n", report.subject,
                           counted(findings.count(Severity::error), "error"),
                           counted(findings.count(Severity::warning), "warning"),
                           counted(findings.count(Severity::note), "note"), findings.count(Severity::ok));
}

std::string as_json(const Report& report) {
  boost::json::object summary;
  for (const auto severity : by_severity) summary[to_string(severity)] = report.findings.count(severity);
  boost::json::array findings;
  for (const auto& finding : report.findings.all()) {
    findings.push_back(boost::json::object{{"action", finding.action},
                                           {"expected", finding.expected},
                                           {"found", finding.found},
                                           {"id", finding.id},
                                           {"severity", to_string(finding.severity)},
                                           {"subject", finding.subject}});
  }
  const boost::json::object document{{report.kind, report.subject},
                                     {"findings", std::move(findings)},
                                     {"severity", to_string(report.findings.worst())},
                                     {"summary", std::move(summary)},
                                     {"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(report.time))},
                                     {"version", 1}};
  return tokens::canonical_json(document) + "\n";
}

int exit_code(const Findings& findings) {
  switch (findings.worst()) {
    case Severity::ok:
    case Severity::note:
      return 0;
    case Severity::warning:
      return 1;
    case Severity::error:
      return 2;
  }
  return 2;
}

}  // namespace avseal::doctor
