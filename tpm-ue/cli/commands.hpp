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

// Opens the device of the options. Times of each job are said on standard error where `say_times`.
Result<std::unique_ptr<device::Device>> open_device(const Options& options, bool say_times = false);

void add_enrollment(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code);   // enroll, renew
void add_endorsement(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code);  // ek
void add_doctor(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code);

// Adds every subcommand; exit_code is what the program ends with after one ran.
void add_commands(CLI::App& app, const std::shared_ptr<Options>& options, int& exit_code);

// "0.1 ms in the queue, 12.0 ms to connect and load the key, 3.3 ms in the TPM".
std::string to_text(const tpm::WorkerTimes& times);
std::string date_text(UnixSeconds time);

// A text file of at most 64 KiB, or standard input for "-". Reason "input-unusable".
Result<std::string> read_input(const std::string& name);

// Prints the failure on stderr, with its reason code. The exit code for it: 1.
int fail(const Error& error);

}  // namespace avseal::ue
