#include "cli/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app{"avseal: operators' and auditors' tool"};
  app.require_subcommand(1);
  int exit_code = 0;
  avseal::cli::add_key(app, exit_code);
  avseal::cli::add_token(app, exit_code);
  avseal::cli::add_clock(app, exit_code);
  avseal::cli::add_doctor(app, exit_code);
  avseal::cli::add_device(app, exit_code);
  avseal::cli::add_ue(app, exit_code);
  avseal::cli::add_ledger(app, exit_code);
  avseal::cli::add_verify(app, exit_code);
  avseal::cli::add_inspect(app, exit_code);
  avseal::cli::add_bench(app, exit_code);
  avseal::cli::add_drill(app, exit_code);
  avseal::cli::add_witness(app, exit_code);
  CLI11_PARSE(app, argc, argv);
  return exit_code;
}
