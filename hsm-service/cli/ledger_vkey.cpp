#include <memory>

#include <fmt/format.h>

#include "cli/hsm_options.hpp"
#include "cli/ledger_commands.hpp"
#include "cli/object_input.hpp"
#include "tlog/note.hpp"

namespace avseal::cli {
namespace {

struct Options {
  std::string key;
  std::string origin;
};

Result<void> print_vkey(const Options& options) {
  AVSEAL_TRY(const auto key, read_public_key(options.key));
  AVSEAL_TRY(const auto verifier, tlog::VerifierKey::of(options.origin, key));
  fmt::print("{}\n", verifier.text());
  return {};
}

}  // namespace

void add_ledger_vkey(CLI::App& ledger, int& exit_code) {
  const auto options = std::make_shared<Options>();
  auto* command = ledger.add_subcommand("vkey", "the verifier key of a log, as auditors and witnesses configure it");
  command->add_option("--cert,--key-pem", options->key, "the ledger key's PEM certificate, PEM public key, or JWK")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--origin", options->origin, "of the log, with the year: <operator>/<node>/2026")->required();
  command->footer(
      "The key of one year stands for all.\n\n"
      "  avseal ledger vkey --cert ledger.pem --origin operator.example/node-1/2026 > ledger.vkey");
  command->callback([options, &exit_code] {
    const auto done = print_vkey(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace avseal::cli
