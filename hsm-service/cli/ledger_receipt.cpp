#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "audit/trust.hpp"
#include "cli/device_output.hpp"
#include "cli/hsm_options.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/object_input.hpp"
#include "cli/operator_client.hpp"
#include "cli/trust_input.hpp"
#include "tlog/proof.hpp"

namespace avseal::cli {
namespace {

struct Options {
  OperatorClient service;
  std::string file;
  std::optional<std::uint64_t> index;
  std::string log;
  TrustInput trust;
  std::string out;
};

Error unusable(std::string detail) {
  return errors::make(Category::invalid, "receipt-unusable", std::move(detail));
}

// A receipt that brings along the leaf at the index, if one was asked for.
Result<tlog::Proof> read_receipt(const Options& options, std::string_view text) {
  AVSEAL_TRY(auto proof, tlog::Proof::parse(text));
  if (proof.index != options.index.value_or(proof.index)) {
    return unusable(fmt::format("expected the receipt of leaf {}, found that of leaf {}", *options.index, proof.index));
  }
  if (!proof.extra) return unusable("the receipt does not bring its leaf along");
  return proof;
}

// That its leaf is in a log of those that are believed.
Result<void> prove(const Options& options, const tlog::Proof& proof, std::FILE* out) {
  AVSEAL_TRY(auto policy, options.trust.read());
  AVSEAL_TRY(const auto head, audit::Trust::of_policy(std::move(policy)).check(proof.checkpoint));
  AVSEAL_CHECK(proof.verify(tlog::leaf_hash(*proof.extra), head));
  fmt::print(out, "leaf {} of {} is in its log of {} leaves: {}\n", proof.index, head.origin, head.size,
             as_text(*proof.extra));
  return {};
}

Result<void> check_receipt(const Options& options) {
  AVSEAL_TRY(const auto text, read_file(options.file));
  AVSEAL_TRY(const auto proof, read_receipt(options, text));
  return prove(options, proof, stdout);
}

Result<void> fetch_receipt(const Options& options) {
  if (options.service.url.empty() || !options.index) {
    return errors::make(Category::invalid, "option-missing",
                        "expected --url and --index, to fetch a receipt, or --file, to check one");
  }
  auto path = fmt::format("/ledger/v1/proof/{}", *options.index);
  if (!options.log.empty()) path += "?log=" + query_value(options.log);
  AVSEAL_TRY(const auto answer, options.service.call(http::Method::get, path));
  AVSEAL_TRY(const auto proof, read_receipt(options, answer.body));
  if (options.trust.given()) {
    AVSEAL_CHECK(prove(options, proof, stderr));
  }
  if (options.out.empty()) {
    std::fwrite(answer.body.data(), 1, answer.body.size(), stdout);
    return {};
  }
  std::ofstream out(options.out, std::ios::binary | std::ios::trunc);
  if (!(out << answer.body) || !out.flush()) return unusable(options.out + " cannot be written");
  return {};
}

}  // namespace

void add_ledger_receipt(CLI::App& ledger, int& exit_code) {
  const auto options = std::make_shared<Options>();
  auto* command = ledger.add_subcommand("receipt", "the proof that an event is in the log, as a tlog-proof@v1 file");
  auto* url = options->service.add_to(*command, OperatorClient::Need::anonymous);
  auto* file = command->add_option("--file", options->file, "a receipt to check offline, with --vkey or --policy");
  command->add_option("--index", options->index, "of the event: Avseal-Ledger-Index of the answer");
  auto* log = command->add_option("--log", options->log, "year of a closed log: the end of Avseal-Ledger-Origin");
  options->trust.add_to(*command);
  auto* out = command->add_option("--out", options->out, "file to write; without it, the receipt is printed");
  file->check(CLI::ExistingFile)->excludes(url)->excludes(log)->excludes(out);
  command->footer(
      "With --url it is fetched, and checked if --vkey or --policy says whom to believe; with --file, one that you\n"
      "have is checked, and its leaf printed. The check needs no node.\n\n"
      "  avseal ledger receipt --url https://node --cacert ca.pem --cert me.pem --key me.key --index 4711 \\\n"
      "      --out receipt.tlog-proof\n"
      "  avseal ledger receipt --file receipt.tlog-proof --vkey ledger.vkey");
  command->callback([options, &exit_code] {
    const auto done = options->file.empty() ? fetch_receipt(*options) : check_receipt(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace avseal::cli
