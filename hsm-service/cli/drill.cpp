#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/drill_report.hpp"
#include "cli/drill_site.hpp"
#include "cli/operator_client.hpp"
#include "tokens/clock.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto look_again = 5ms;
constexpr auto quiet_time = 500ms;        // load before and after a fault
constexpr auto fault_time = 1000ms;       // how long a fault stands that has to be ended
constexpr auto strike_limit = 10s;        // for a fault to happen
constexpr auto recovery_limit = 30s;      // for the token to sign again
constexpr std::uint64_t signs_again = 3;  // signatures

struct DrillOptions {
  OperatorClient service;
  LoadOptions load;
  std::filesystem::path faults;
  std::filesystem::path signing_template;
  std::filesystem::path json_file;
  std::vector<std::filesystem::path> configuration;
  std::vector<std::string> rows;
  std::string token;
};

template <class Condition>
bool wait_until(Condition condition, steady_clock::duration limit) {
  const auto end = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(look_again);
  }
  return true;
}

// Load from construction to stop(), in a thread of its own.
class RunningLoad {
 public:
  explicit RunningLoad(LoadOptions options) {
    options.finished = [this] { return stop_.load(); };
    thread_ = std::thread([this, options = std::move(options)] { result_.emplace(run_load(options)); });
  }
  RunningLoad(const RunningLoad&) = delete;
  RunningLoad& operator=(const RunningLoad&) = delete;
  ~RunningLoad() { (void)stop(); }

  Result<LoadResult> stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return *result_;
  }

 private:
  std::atomic<bool> stop_ = false;
  std::optional<Result<LoadResult>> result_;
  std::thread thread_;
};

// The sum of a counter over all its labels.
std::uint64_t counter(const std::string& metrics, std::string_view name) {
  double sum = 0;
  for (std::size_t at = 0; at < metrics.size();) {
    const std::size_t end = std::min(metrics.find('\n', at), metrics.size());
    const std::string_view line = std::string_view(metrics).substr(at, end - at);
    if (line.starts_with(name) && line.find_first_of("{ ") == name.size()) {
      sum += std::strtod(line.data() + line.rfind(' '), nullptr);
    }
    at = end + 1;
  }
  return static_cast<std::uint64_t>(sum);
}

Result<std::uint64_t> discarded_attempts(const OperatorClient& service) {
  AVSEAL_TRY(const http::ClientResponse metrics, service.call(http::Method::get, "/metrics"));
  return counter(metrics.body, "avseal_hsm_discarded_attempts_total");
}

boost::json::value ask(const OperatorClient& service, std::string_view path) {
  const auto answer = service.call(http::Method::get, path);
  auto body = answer ? tokens::parse_json(answer->body) : Result<boost::json::value>(answer.error());
  return body ? std::move(*body) : boost::json::value();
}

Result<void> read_template(DrillOptions& options) {
  std::ifstream in(options.signing_template, std::ios::binary);
  options.load.body.assign(std::istreambuf_iterator<char>(in), {});
  if (!in) return errors::make(Category::invalid, "drill-file", "cannot read " + options.signing_template.string());
  options.load.fill_in = true;
  options.load.method = "POST";
  options.load.path = "/stir/v1/signing";
  options.load.url = options.service.url;
  options.load.anchors = options.service.cacert;
  return {};
}

// The site's workers answer in the directory: load on the site makes their counters move.
Result<std::vector<DrillWorker>> find_workers(const DrillSite& site, const DrillOptions& options) {
  AVSEAL_TRY(const std::vector<DrillWorker> before, site.workers());
  RunningLoad load(options.load);
  const auto signed_more = [&] {
    const auto now = site.workers();
    return now && std::any_of(before.begin(), before.end(), [&](const DrillWorker& worker) {
             return std::any_of(now->begin(), now->end(), [&](const DrillWorker& later) {
               return later.pid == worker.pid && later.signatures > worker.signatures;
             });
           });
  };
  const bool answers = !before.empty() && wait_until(signed_more, 5s);
  AVSEAL_TRY(const LoadResult result, load.stop());
  if (answers) return before;
  return errors::make(
      Category::invalid, "drill-site",
      fmt::format("{}: no worker of {} answers there ({} requests were sent, {} answered); their module "
                  "must be avseal-fault-pkcs11.so with AVSEAL_FAULTS set to this directory",
                  options.faults.string(), options.service.url, result.sent, result.latencies.count()));
}

// The token's worker, this one or a next one, makes signatures from now on.
bool signs(const DrillSite& site, const std::string& token) {
  const auto then = site.worker(token);
  const auto signed_more = [&] {
    const auto now = site.worker(token);
    if (!now) return false;
    const std::uint64_t before = then && then->pid == now->pid ? then->signatures : 0;
    return now->signatures >= before + signs_again;
  };
  return wait_until(signed_more, recovery_limit);
}

// The fault goes, and the token must sign again; or it signs in spite of it, and then without it.
void recover(DrillSite& site, const DrillOptions& options, DrillOutcome& outcome, bool lasting) {
  if (!lasting) site.clear();
  const auto over = steady_clock::now();
  outcome.recovered = signs(site, options.token);
  outcome.recovery = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - over);
  if (lasting) {
    site.clear();
    outcome.recovered = outcome.recovered && signs(site, options.token);
  }
}

Result<DrillOutcome> run_row(const DrillRow& row, DrillSite& site, const DrillOptions& options, bool replicas) {
  DrillOutcome outcome;
  outcome.row = &row;
  AVSEAL_TRY(const std::uint64_t discarded, discarded_attempts(options.service));
  RunningLoad load(options.load);
  std::this_thread::sleep_for(quiet_time);
  const std::uint64_t injected = site.injected();
  AVSEAL_CHECK(site.disturb(rules_of(row), options.token));
  outcome.struck = wait_until([&] { return site.injected() > injected; }, strike_limit);
  if (const std::string complaint = site.complaint(); !complaint.empty()) {
    return errors::make(Category::internal, "drill-rules", complaint);
  }
  const bool lasting = row.kind != DrillRow::Kind::passing;
  const bool once = lasting || row.rules.find("times=") != std::string_view::npos;
  if (!once) std::this_thread::sleep_for(fault_time);
  recover(site, options, outcome, lasting);
  std::this_thread::sleep_for(quiet_time);
  AVSEAL_TRY(outcome.load, load.stop());
  AVSEAL_TRY(const std::uint64_t discarded_now, discarded_attempts(options.service));
  outcome.discarded = discarded_now - discarded;
  judge(outcome, replicas);
  return outcome;
}

std::string names_of_rows() {
  std::string names;
  for (const DrillRow& row : drill_rows()) names.append(" ").append(row.name);
  return names;
}

Result<std::vector<const DrillRow*>> chosen_rows(const std::vector<std::string>& names) {
  std::vector<const DrillRow*> chosen;
  for (const DrillRow& row : drill_rows()) {
    if (names.empty() || std::find(names.begin(), names.end(), row.name) != names.end()) chosen.push_back(&row);
  }
  if (names.empty() || chosen.size() == std::set(names.begin(), names.end()).size()) return chosen;
  return errors::make(Category::invalid, "drill-row", "a --row is not known; rows are" + names_of_rows());
}

Result<void> file_report(const DrillReport& report, const std::filesystem::path& file) {
  AVSEAL_TRY(const boost::json::object json, to_json(report));
  if (file.empty()) return {};
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << boost::json::serialize(json) << '\n';
  out.close();
  if (!out) return errors::make(Category::internal, "drill-file", "cannot write " + file.string());
  return {};
}

Result<bool> drill(DrillOptions& options) {
  AVSEAL_CHECK(read_template(options));
  AVSEAL_TRY(const auto rows, chosen_rows(options.rows));
  DrillSite site(options.faults);
  AVSEAL_TRY(const std::vector<DrillWorker> workers, find_workers(site, options));
  if (options.token.empty()) options.token = workers.front().token;
  if (!site.worker(options.token)) {
    return errors::make(Category::invalid, "drill-token", "no worker of token " + options.token + " runs");
  }
  DrillReport report;
  report.begun = to_unix(system_clock_now());
  report.url = options.service.url;
  report.token = options.token;
  report.replicas =
      std::any_of(workers.begin(), workers.end(), [&](const auto& w) { return w.token != options.token; });
  report.configuration = options.configuration;
  report.service = ask(options.service, "/readyz");
  report.tokens = ask(options.service, "/operations/v1/tokens");
  fmt::print("{}: disturbing {}, {}\n", options.service.url, options.token,
             report.replicas ? "which has replicas: no request may fail" : "the only token: requests may end with 503");
  print_drill_heading();
  for (const DrillRow* row : rows) {
    AVSEAL_TRY(DrillOutcome outcome, run_row(*row, site, options, report.replicas));
    print_drill_row(outcome);
    report.outcomes.push_back(std::move(outcome));
  }
  AVSEAL_CHECK(file_report(report, options.json_file));
  fmt::print("{}\n", report.passed() ? "every promise was kept" : "a promise was broken");
  return report.passed();
}

int run(DrillOptions& options) {
  const auto passed = drill(options);
  if (!passed) {
    fmt::print(stderr, "avseal drill: {}\n", passed.error().detail);
    return 2;
  }
  return *passed ? 0 : 1;
}

}  // namespace

void add_drill(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<DrillOptions>();
  options->load.connections = 4;
  options->load.streams = 4;
  CLI::App* command = app.add_subcommand(
      "drill", "Walk a staging site, whose workers use the fault module, through the failure table, under load");
  options->service.add_to(*command);
  command->add_option("--faults", options->faults, "Directory that AVSEAL_FAULTS of the workers names")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--signing", options->signing_template,
                   "File with a signing request, {{uuid}} and {{now}} filled in for each")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--ims-as-cert", options->load.certificate, "Client certificate that may sign (PEM)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--ims-as-key", options->load.private_key, "Its private key (PEM)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--token", options->token, "Label of the token to disturb; without it the first");
  command->add_option("--row", options->rows, "Only this row of the table; may be repeated");
  command->add_option("--config", options->configuration, "Configuration file whose digest is filed; may be repeated")
      ->check(CLI::ExistingFile);
  command->add_option("--json", options->json_file, "File for the report, to be kept with an audit");
  command->add_option("--connections", options->load.connections, "Connections of the load")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--streams", options->load.streams, "Requests in flight on each")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command->footer(
      "The site's workers must load avseal-fault-pkcs11.so; tools/quickstart --faults leaves such a site running. "
      "Never do\n"
      "this where real calls are signed. Exit code 0: every promise was kept; 1: one was broken; 2: it could not be "
      "held.\n"
      "Rows:" +
      names_of_rows());
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace avseal::cli
