#include "cli/commands.hpp"
#include "cli/ledger_commands.hpp"

namespace avseal::cli {

void add_ledger(CLI::App& app, int& exit_code) {
  auto* ledger = app.add_subcommand("ledger", "the log of every signature, refusal and administrative act");
  ledger->require_subcommand(1);
  add_ledger_verify(*ledger, exit_code);
  add_ledger_export(*ledger, exit_code);
  add_ledger_vkey(*ledger, exit_code);
  add_ledger_receipt(*ledger, exit_code);
  add_ledger_events(*ledger, exit_code);
  add_ledger_erase_subject(*ledger, exit_code);
}

}  // namespace avseal::cli
