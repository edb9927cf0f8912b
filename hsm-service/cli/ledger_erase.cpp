#include <memory>

#include <fmt/format.h>

#include "cli/device_output.hpp"
#include "cli/hsm_options.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/operator_client.hpp"

namespace avseal::cli {
namespace {

struct Options {
  OperatorClient service;
  std::string impu;
  std::string reason;
};

}  // namespace

void add_ledger_erase_subject(CLI::App& ledger, int& exit_code) {
  const auto options = std::make_shared<Options>();
  auto* command = ledger.add_subcommand(
      "erase-subject", "remove a person's key for good: no leaf can be related to the person any more");
  options->service.add_to(*command);
  command->add_option("--impu", options->impu, "the person's identity")->required();
  command->add_option("--reason", options->reason, "goes into the log and must name no person: case-4711")->required();
  command->callback([options, &exit_code] {
    const auto done = options->service.call(
        http::Method::del,
        fmt::format("/ledger/v1/subjects/{}?reason={}", query_value(options->impu), query_value(options->reason)));
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace avseal::cli
