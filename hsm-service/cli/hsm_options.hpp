#pragma once

#include <CLI/CLI.hpp>

#include "pkcs11/session.hpp"

namespace avseal::cli {

// The token that a command works on, and where its PIN comes from: a file, a systemd credential, or a prompt on the
// terminal; never an argument.
struct HsmOptions {
  std::string module;
  std::string token;
  std::string pin_file;
  std::string pin_credential;
  std::string state_directory;  // of the token's workers: a login is under their PIN fuse then

  void add_to(CLI::App& command);      // --module, --token, --state-directory, --pin-file, --pin-credential
  void add_pin_to(CLI::App& command);  // the last two
  [[nodiscard]] Result<Secret> pin(std::string_view what) const;  // `what`: for the prompt, "user PIN"

  [[nodiscard]] Result<pkcs11::Token> find_token() const;  // loads the module

  // Finds the token, logs in.
  [[nodiscard]] Result<pkcs11::Session> login(
      pkcs11::Session::Access access, pkcs11::Session::Guard guard = pkcs11::Session::Guard::refuse_flags) const;
};

// Asks on /dev/tty without echo. Reason "pin-unreadable" where there is no terminal.
Result<Secret> prompt_secret(std::string_view what);

// Asks on /dev/tty. Reason "terminal-missing".
Result<std::string> prompt_line(std::string_view what);

// Prints the error as one line to stderr; the command's exit code.
int report(const Error& error);

}  // namespace avseal::cli
