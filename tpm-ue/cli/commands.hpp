#pragma once

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "device/device.hpp"

namespace avseal::ue {

// Options of the program, filled in before a subcommand runs.
struct Options {
  std::string state = "/var/lib/avseal-ue";
  std::string tcti{tpm::default_tcti};
  [[nodiscard]] device::DeviceConfig config() const;
};

// Adds every subcommand; exit_code is what the program ends with after one ran.
void add_commands(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code);

// Prints the failure on stderr, with its reason code. The exit code for it: 1.
int fail(const Error& error);

}  // namespace avseal::ue
