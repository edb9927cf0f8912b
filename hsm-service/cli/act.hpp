// Acts that change an HSM. This is the one place where an act is authorised and recorded.
#pragma once

#include <functional>

#include "cli/operator_client.hpp"
#include "ledger/acts.hpp"
#include "pkcs11/module.hpp"

namespace avseal::cli {

// Where acts are recorded: in the ledger of a running node, or in a ledger that no node has open.
struct ActOptions {
  OperatorClient node;
  std::string ledger;  // its directory
  std::string origin;

  void add_to(CLI::App& command);  // --url and what it needs, or --ledger and --origin
};

// Records on disk that the act begins, does it, and records its outcome; gives the act's own error first. Without the
// first record nothing is done. action gives what came of it, for the ledger.
Result<void> perform(const ActOptions& options, std::string name, boost::json::object object,
                     const std::function<Result<boost::json::object>()>& action);

// A key on a token, as acts name it.
boost::json::object object_of(const pkcs11::Token& token, std::string_view label);

// The operating system's user at this terminal: user, uid, login (whose session it is), sudo_user, host, tty; what is
// not known is left out.
boost::json::object terminal();

}  // namespace avseal::cli
