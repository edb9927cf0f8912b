// The parts of `avseal ledger`.
#pragma once

#include <CLI/CLI.hpp>

namespace avseal::cli {

void add_ledger_verify(CLI::App& ledger, int& exit_code);
void add_ledger_vkey(CLI::App& ledger, int& exit_code);

}  // namespace avseal::cli
