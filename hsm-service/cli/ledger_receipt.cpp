#include <cstdio>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "audit/trust.hpp"
#include "cli/device_output.hpp"
#include "cli/hsm_options.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/operator_client.hpp"
#include "cli/trust_input.hpp"
#include "tlog/proof.hpp"

namespace avseal::cli {
namespace {

struct Options {
  OperatorClient service;
  std::uint64_t index = 0;
  std::string log;
  TrustInput trust;
  std::string out;
};

Error unusable(std::string detail) {
  return errors::make(Category::invalid, "receipt-unusable", std::move(detail));
}

// That the leaf which the receipt brings along is the one at the index, and with somebody to believe that it is in
// their log.
Result<void> check(const Options& options, const tlog::Proof& proof) {
  if (proof.index != options.index) return unusable(fmt::format("the receipt is of leaf {}", proof.index));
  if (!proof.extra) return unusable("the receipt does not bring its leaf along");
  if (!options.trust.given()) return {};
  AVSEAL_TRY(auto policy, options.trust.read());
  AVSEAL_TRY(const auto head, audit::Trust::of_policy(std::move(policy)).check(proof.checkpoint));
  AVSEAL_CHECK(proof.verify(tlog::leaf_hash(*proof.extra), head));
  fmt::print(stderr, "leaf {} of {} is in its log of {} leaves: {}\n", proof.index, head.origin, head.size,
             as_text(*proof.extra));
  return {};
}

Result<void> fetch_receipt(const Options& options) {
  auto path = fmt::format("/ledger/v1/proof/{}", options.index);
  if (!options.log.empty()) path += "?log=" + query_value(options.log);
  AVSEAL_TRY(const auto answer, options.service.call(http::Method::get, path));
  AVSEAL_TRY(const auto proof, tlog::Proof::parse(answer.body));
  AVSEAL_CHECK(check(options, proof));
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
  options->service.add_to(*command, OperatorClient::Need::anonymous)->required();
  command->add_option("--index", options->index, "of the event: Avseal-Ledger-Index of the answer")->required();
  command->add_option("--log", options->log, "year of a closed log: the end of Avseal-Ledger-Origin");
  options->trust.add_to(*command);
  command->add_option("--out", options->out, "file to write; without it, the receipt is printed");
  command->callback([options, &exit_code] {
    const auto done = fetch_receipt(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace avseal::cli
