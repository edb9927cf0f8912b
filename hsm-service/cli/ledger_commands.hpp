// The parts of `avseal ledger`.
#pragma once

#include <CLI/CLI.hpp>

namespace avseal::cli {

void add_ledger_verify(CLI::App& ledger, int& exit_code);
void add_ledger_export(CLI::App& ledger, int& exit_code);
void add_ledger_vkey(CLI::App& ledger, int& exit_code);
void add_ledger_receipt(CLI::App& ledger, int& exit_code);
void add_ledger_events(CLI::App& ledger, int& exit_code);
void add_ledger_erase_subject(CLI::App& ledger, int& exit_code);

}  // namespace avseal::cli
