#include <filesystem>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "audit/csv.hpp"
#include "audit/export.hpp"
#include "cli/hsm_log_input.hpp"
#include "cli/hsm_options.hpp"
#include "cli/key_output.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/ledger_input.hpp"
#include "cli/object_input.hpp"
#include "cli/progress_bar.hpp"
#include "findings/report.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

constexpr int exit_findings = 1;
constexpr int exit_unjudged = 2;
constexpr unsigned max_threads = 64;

struct Options {
  LedgerInput input;
  std::vector<std::string> checkpoints;
  std::string since;
  std::string save;
  HsmLogInput hsm_log;
  bool is_export = false;
  unsigned threads = 0;
  bool json = false;
};

Result<audit::HeldNote> read_held(const std::string& file) {
  AVSEAL_TRY(auto note, read_file(file));
  return audit::HeldNote{file, std::move(note)};
}

// What belongs to a checkpoint is beside it.
std::string numbers_file(const std::string& checkpoint) {
  return checkpoint + ".numbers";
}

// Nothing if there is none.
Result<std::optional<audit::SavedHistory>> read_numbers(const std::string& checkpoint) {
  const auto file = numbers_file(checkpoint);
  std::error_code failed;
  if (!std::filesystem::exists(file, failed) && !failed) return std::optional<audit::SavedHistory>();
  AVSEAL_TRY(const auto text, read_file(file, audit::SavedHistory::max_size));
  auto numbers = audit::SavedHistory::parse(text);
  if (numbers) return std::optional(std::move(*numbers));
  return errors::make(
      numbers.error().category, numbers.error().reason,
      fmt::format("{}: {}; verify the whole log without --since, which writes it anew", file, numbers.error().detail));
}

Result<audit::VerifyOptions> options_of(const Options& options) {
  audit::VerifyOptions out;
  for (const auto& file : options.checkpoints) {
    AVSEAL_TRY(auto held, read_held(file));
    out.held.push_back(std::move(held));
  }
  if (!options.since.empty()) {
    AVSEAL_TRY(out.since, read_held(options.since));
    AVSEAL_TRY(out.numbers, read_numbers(options.since));
  }
  out.threads =
      options.threads != 0 ? options.threads : std::clamp(std::thread::hardware_concurrency(), 1U, max_threads);
  out.patience = cosigning_patience;
  out.segments = options.input.segments();
  return out;
}

// What was seen of HSMs' own logs, for the report.
struct HsmSeen {
  std::uint64_t entries = 0;
  std::uint64_t logs = 0;
  std::vector<audit::HsmCount> counts;
};

Result<HsmSeen> compare_hsm(const HsmLog& log, const audit::Verified& verified, audit::Verdict& verdict) {
  if (!verified.totals) {
    return errors::make(Category::invalid, "log-incomplete",
                        "the HSM's log cannot be compared: expected all of the node's log from its first leaf on, and "
                        "what is before this is not at hand; give its directory with all closed years, or its --url");
  }
  audit::HsmHistory history(verdict);
  for (const auto& [name, text] : log.outputs) history.take(name, text);
  auto counts = history.compare(log.keys, log.tests, *verified.totals);
  return HsmSeen{history.entries(), history.logs(), std::move(counts)};
}

void print_text(const audit::Verified& verified, const HsmSeen& hsm, const audit::Verdict& verdict,
                const std::string& name) {
  const auto findings = verdict.findings();
  fmt::print("{}", doctor::as_text({"log", name, 0, findings}));
  if (verified.origin.empty()) return;
  fmt::print("log       {}, {} leaves, root {}\n", verified.origin, verified.size, tlog::hash_text(verified.root));
  fmt::print("read      {} leaves of {} logs, {} signatures", verified.read, verified.periods, verified.uses);
  if (verified.read != 0)
    fmt::print(", {} to {}", audit::utc_text(verified.first_time), audit::utc_text(verified.last_time));
  fmt::print("\n");
  if (hsm.entries != 0) fmt::print("HSM log   {} entries of {} logs\n", hsm.entries, hsm.logs);
  if (verified.awaiting != 0) fmt::print("awaiting  {} leaves have no checkpoint yet\n", verified.awaiting);
  fmt::print("verdict   {}", verdict.good() ? "good" : "NOT GOOD");
  if (verified.part) fmt::print(", of leaves {} to {} alone", verified.part->first, verified.part->second - 1);
  fmt::print("\n");
}

boost::json::array as_json(const doctor::Findings& findings) {
  boost::json::array out;
  for (const auto& finding : findings.all()) {
    out.push_back(boost::json::object{{"action", finding.action},
                                      {"expected", finding.expected},
                                      {"found", finding.found},
                                      {"id", finding.id},
                                      {"severity", doctor::to_string(finding.severity)},
                                      {"subject", finding.subject}});
  }
  return out;
}

boost::json::object as_json(const HsmSeen& hsm) {
  boost::json::array keys;
  for (const auto& count : hsm.counts) {
    keys.push_back(boost::json::object{{"in_hsm", count.in_hsm},
                                       {"in_ledger", count.in_ledger},
                                       {"key", count.key.name},
                                       {"object", count.key.object}});
  }
  return {{"entries", hsm.entries}, {"keys", std::move(keys)}, {"logs", hsm.logs}};
}

void print_json(const audit::Verified& verified, const HsmSeen& hsm, const audit::Verdict& verdict,
                const std::string& name) {
  boost::json::object document{{"awaiting", verified.awaiting},
                               {"findings", as_json(verdict.findings())},
                               {"first_time", verified.first_time},
                               {"good", verdict.good()},
                               {"last_time", verified.last_time},
                               {"log", name},
                               {"logs", verified.periods},
                               {"origin", verified.origin},
                               {"read", verified.read},
                               {"root", tlog::hash_text(verified.root)},
                               {"signatures", verified.uses},
                               {"size", verified.size},
                               {"version", 1}};
  if (const auto& part = verified.part)
    document["export"] = boost::json::object{{"from", part->first}, {"to", part->second}};
  if (hsm.entries != 0) document["hsm_log"] = as_json(hsm);
  fmt::print("{}\n", tokens::canonical_json(document));
}

// What was found good is where the next verification may begin.
Result<void> save(const std::string& file, const audit::Verified& verified) {
  if (verified.numbers) {
    AVSEAL_TRY(const auto text, verified.numbers->text());
    AVSEAL_CHECK(replace_file(numbers_file(file), text));
  }
  return replace_file(file, verified.note);
}

// What is judged is the caller's choice: a file in the directory must not make a part of it do for the whole.
Result<void> refuse_export(const std::string& directory) {
  if (directory.empty() || !audit::looks_like_export(directory)) return {};
  return errors::make(
      Category::invalid, "export-not-asked-for",
      fmt::format("{}: expected a log, found the manifest and SHA256SUMS of an export, a part of one; --export judges "
                  "that part alone, and a log must not have these files",
                  directory));
}

Result<int> verify_log(const Options& options) {
  if (!options.is_export) AVSEAL_CHECK(refuse_export(options.input.directory));
  AVSEAL_TRY(const auto source, options.input.source());
  AVSEAL_TRY(auto policy, options.input.trust.read());
  const auto trust = audit::Trust::of_policy(std::move(policy));
  AVSEAL_TRY(auto how, options_of(options));
  AVSEAL_TRY(const auto hsm_log, options.hsm_log.read());
  audit::Verdict verdict;
  const auto verified = [&] {
    ProgressBar bar("verifying", "leaves");
    how.progress = [&bar](std::uint64_t leaves, std::uint64_t all) { bar.show(leaves, all); };
    if (options.is_export) {
      return audit::check_export(options.input.directory, trust, how.held, verdict, how.progress);
    }
    return audit::verify(*source, trust, how, verdict);
  }();
  if (!verified && verdict.good()) return verified.error();
  const auto& seen = verified ? *verified : audit::Verified{};
  Result<HsmSeen> hsm = HsmSeen{};
  if (hsm_log && verified && seen.periods != 0) hsm = compare_hsm(*hsm_log, seen, verdict);
  const auto print = options.json ? print_json : print_text;
  print(seen, hsm ? *hsm : HsmSeen{}, verdict, options.input.name());
  if (!verified) return verified.error();
  if (!hsm) return hsm.error();
  if (!verdict.good()) return exit_findings;
  if (!options.save.empty()) AVSEAL_CHECK(save(options.save, seen));
  return 0;
}

}  // namespace

void add_ledger_verify(CLI::App& ledger, int& exit_code) {
  const auto options = std::make_shared<Options>();
  auto* command = ledger.add_subcommand("verify", "Verify a log: all of it, or what came after a checkpoint");
  options->input.add_to(*command);
  command
      ->add_option("--checkpoint", options->checkpoints,
                   "a checkpoint that you hold, which the log must continue; may be repeated")
      ->check(CLI::ExistingFile);
  auto* since =
      command->add_option("--since", options->since,
                          "a checkpoint up to which you verified the log: reads only the rest, and goes on with the "
                          "numbers in FILE.numbers");
  since->check(CLI::ExistingFile);
  options->hsm_log.add_to(*command, since);
  auto* save = command->add_option(
      "--save-checkpoint", options->save,
      "file for the log's checkpoint, once all is found good; FILE.numbers keeps what --since needs");
  command->add_flag("--export", options->is_export, "DIRECTORY is an export: the verdict is of its leaves alone")
      ->needs(command->get_option("DIRECTORY"))
      ->excludes(since)
      ->excludes(save);
  command->add_option("--threads", options->threads, "instead of one for each processor")
      ->check(CLI::Range(1U, max_threads));
  command->add_flag("--json", options->json, "one JSON object, for programs");
  command->footer(
      "Hashes every entry again, compares every tile of every level and the root that the checkpoint signs; holds the\n"
      "log to checkpoints from elsewhere; judges what the leaves say: places, times, signatures, numbers, keys; "
      "counts\n"
      "the signatures in an HSM's own log too.\n"
      "Exit status: 0 good, 1 findings, 2 the log cannot be judged.\n\n"
      "  avseal ledger verify run/ledger --vkey run/artifacts/ledger.vkey --save-checkpoint seen\n"
      "  avseal ledger verify --url https://node --cacert ca.pem --cert me.pem --key me.key --policy policy --since "
      "seen\n"
      "  avseal ledger verify --export may --vkey ledger.vkey --checkpoint seen\n"
      "  avseal ledger verify /var/lib/avseal/ledger --vkey ledger.vkey --hsm-log get-logs-*.txt --hsm-profile "
      "yubihsm2 \\\n"
      "    --hsm-key avatar-id=0x0101 --hsm-key ledger=0x0105 --hsm-tests 420");
  command->callback([options, &exit_code] {
    const auto done = verify_log(*options);
    if (!done) report(done.error());
    exit_code = done ? *done : exit_unjudged;
  });
}

}  // namespace avseal::cli
