// The parts of `avseal key` that change something.
#pragma once

#include "cli/act.hpp"
#include "cli/hsm_options.hpp"
#include "cli/key_request.hpp"

namespace avseal::cli {

struct KeyOptions {
  HsmOptions hsm;
  ActOptions act;
  std::string label;
  std::string kind;
  std::string id;
  std::string curve = "P-256";
  std::string file;
  std::string out;
  bool json = false;
  bool explain = false;
  RequestFields request;
};

Result<void> generate_key(const KeyOptions& options);

// The chain must be the key's, in order, valid now and suitable for the kind.
Result<void> import_certificate(const KeyOptions& options);

// Asks for the label to be typed. A key that a running node uses is refused until it is retired there.
Result<void> destroy_key(const KeyOptions& options);

// stage, activate, retire, states: of the logical keys of a running node.
void add_key_states(CLI::App& key, int& exit_code);

}  // namespace avseal::cli
