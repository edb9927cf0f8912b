#pragma once

#include <CLI/CLI.hpp>

namespace avseal::cli {

// Each adds its subcommand to `avseal`; exit_code is what the program ends with after the subcommand ran.
void add_bench(CLI::App& app, int& exit_code);
void add_clock(CLI::App& app, int& exit_code);
void add_device(CLI::App& app, int& exit_code);
void add_doctor(CLI::App& app, int& exit_code);
void add_drill(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);
void add_key(CLI::App& app, int& exit_code);
void add_ledger(CLI::App& app, int& exit_code);
void add_token(CLI::App& app, int& exit_code);
void add_ue(CLI::App& app, int& exit_code);
void add_verify(CLI::App& app, int& exit_code);
void add_witness(CLI::App& app, int& exit_code);

}  // namespace avseal::cli
