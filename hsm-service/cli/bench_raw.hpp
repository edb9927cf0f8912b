// `avseal bench --raw`: what the token itself can do, to compare the service with.
#pragma once

#include <filesystem>
#include <string>

namespace avseal::cli {

struct RawBenchOptions {
  std::filesystem::path module;    // PKCS#11 module
  std::string token;               // RFC 7512 URI of the token, or of the key (then `label` may be empty)
  std::string label;               // CKA_LABEL of an EC private key
  std::filesystem::path pin_file;  // first line; empty: asks at the terminal
  unsigned seconds = 3;            // per number of threads
};

// Measures C_Sign in this one process with 1, 2 and 4 threads, a session each, and prints a line for each and the best
// rate in signatures per second. Gives the program's exit code; what went wrong is one sentence on stderr.
int run_raw_bench(const RawBenchOptions& options);

}  // namespace avseal::cli
