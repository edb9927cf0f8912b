#include <cstdio>
#include <cstdlib>
#include <memory>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "cli/commands.hpp"
#include "cli/doctor/checks.hpp"
#include "findings/report.hpp"

namespace avseal::cli {
namespace {

struct DoctorOptions {
  std::string config = "/etc/avseal/avseald.toml";
  std::vector<std::string> workers;
  OperatorClient node;
  bool json = false;
};

int examine(const DoctorOptions& options) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("doctor"));  // standard output is the report's
  doctor::Report report;
  report.kind = "config";
  report.subject = options.config;
  report.time = to_unix(system_clock_now());
  auto& findings = report.findings;
  auto site = doctor::load_site(options.config, options.workers, report.time, findings);
  const bool all_answered = doctor::survey_tokens(site, findings);
  doctor::check_replicas(site, findings);
  doctor::check_certificates(site, findings);
  doctor::check_names(site, findings);
  doctor::check_tls(site, findings);
  doctor::check_running(site, options.node, findings);
  doctor::check_clock(site, findings);
  doctor::check_files(site, findings);
  doctor::check_host(site, findings);

  const auto text = options.json ? doctor::as_json(report) : doctor::as_text(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  const int code = doctor::exit_code(findings);
  if (!all_answered) std::_Exit(code);  // a thread is still in the module
  return code;
}

}  // namespace

void add_doctor(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<DoctorOptions>();
  CLI::App& command = *app.add_subcommand(
      "doctor",
      "examine a node: tokens, keys, certificates, clock, files, limits; what is wrong, and what to do.\n"
      "Logs in to the tokens as a worker does, and changes nothing. Exit code 0: fine, 1: warnings, 2: errors");
  command.add_option("--config", options->config, "avseald's configuration")->capture_default_str();
  command.add_option("--worker", options->workers,
                     "a worker's configuration; those that avseald starts itself are known");
  options->node.add_to(command, OperatorClient::Need::anonymous);
  command.add_flag("--json", options->json, "one JSON object, for programs");
  command.footer(
      "Every warning and error says what was found, what was expected and what to do next. With --url it also looks at "
      "the\n"
      "running node as others do, and with --cert and --key asks its keys for test signatures. Run it as a user that "
      "may\n"
      "read what avseald and its workers read.\n\n"
      "  avseal doctor --config /etc/avseal/avseald.toml --worker /etc/avseal/tokend-a.toml\n"
      "  avseal doctor --worker /etc/avseal/tokend-a.toml --json > doctor.json");
  command.callback([options, &exit_code] { exit_code = examine(*options); });
}

}  // namespace avseal::cli
