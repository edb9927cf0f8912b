#include <cstdio>
#include <memory>

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/hsm_options.hpp"
#include "cli/operator_client.hpp"
#include "pkcs11/pin.hpp"

namespace avseal::cli {

namespace {

struct InitOptions {
  HsmOptions hsm;
  std::string label;
  std::string so_pin_file;
};

struct LoginOptions {
  HsmOptions hsm;
  bool once = false;
};

struct StateOptions {
  OperatorClient service;
  std::string name;
};

Result<void> init(const InitOptions& options) {
  AVSEAL_TRY(const Secret so_pin, options.so_pin_file.empty() ? prompt_secret("new security officer PIN")
                                                              : pkcs11::read_pin_file(options.so_pin_file));
  AVSEAL_TRY(const Secret pin, options.hsm.pin("new user PIN"));
  AVSEAL_TRY(const auto module, pkcs11::Module::load(options.hsm.module));
  AVSEAL_TRY(const pkcs11::Token token, pkcs11::Token::init(module, options.label, so_pin, pin));
  fmt::print("token \"{}\" is ready, serial {}\n", token.label(), token.serial());
  return {};
}

Result<void> spend_login(const HsmOptions& options) {
  AVSEAL_TRY(const pkcs11::Token token, options.find_token());
  AVSEAL_TRY(const std::string typed,
             prompt_line("One login attempt is spent on token \"" + token.label() + "\". Type its label to go on"));
  if (typed != token.label()) {
    return errors::make(Category::invalid, "confirmation-differs",
                        "that is not the token's label, so nothing was tried");
  }
  AVSEAL_TRY(const pkcs11::Session session,
             options.login(pkcs11::Session::Access::read_only, pkcs11::Session::Guard::spend_one));
  fmt::print("token \"{}\" took the PIN\n", session.token().label());
  return {};
}

void add_init(CLI::App& token, int& exit_code) {
  auto* command = token.add_subcommand("init", "initialise an empty token and set its user PIN");
  const auto options = std::make_shared<InitOptions>();
  command->add_option("--module", options->hsm.module, "PKCS#11 module")->required();
  command->add_option("--label", options->label, "label of the new token, at most 32 bytes")->required();
  command->add_option("--so-pin-file", options->so_pin_file,
                      "file with the security officer's PIN, else the terminal is asked");
  options->hsm.add_pin_to(*command);
  command->callback([options, &exit_code] {
    const auto done = init(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

void add_login(CLI::App& token, int& exit_code) {
  auto* command =
      token.add_subcommand("login", "spend one login attempt after a wrong PIN, so that workers log in again");
  const auto options = std::make_shared<LoginOptions>();
  options->hsm.add_to(*command);
  command->add_flag("--once", options->once, "exactly one attempt: a wrong PIN brings the token nearer to its lock")
      ->required();
  command->footer(
      "Workers try a PIN that the token refused once in all, and none while the token warns (CKF_USER_PIN_COUNT_LOW "
      "and\n"
      "the like). Put the right PIN in place first. This command shows the token, asks for its label to be typed, "
      "tries\n"
      "the PIN once, and when the token takes it, the workers of --state-directory may log in again: start them, or\n"
      "systemctl reload avseald.");
  command->callback([options, &exit_code] {
    const auto done = spend_login(options->hsm);
    exit_code = done ? 0 : report(done.error());
  });
}

// On a running avseald: a drained token gets no new work.
void add_state(CLI::App& token, int& exit_code, const char* name, const char* help, std::string_view state) {
  auto* command = token.add_subcommand(name, help);
  const auto options = std::make_shared<StateOptions>();
  command->add_option("name", options->name, "name of the token in avseald.toml")->required();
  options->service.add_to(*command);
  command->footer(
      "A drained token gets no new work, and what it has in flight is answered: then its HSM can be looked after. It "
      "stays\ndrained over restarts and reloads. The last token that has a primary key cannot be drained.\n\n"
      "  avseal token drain  hsm-b --url U --cacert ca.pem --cert operator.pem --key operator.key\n"
      "  avseal token resume hsm-b --url U --cacert ca.pem --cert operator.pem --key operator.key");
  command->callback([options, state, &exit_code] {
    const auto path =
        fmt::format("/operations/v1/tokens/{}", boost::urls::encode(options->name, boost::urls::unreserved_chars));
    const auto done = options->service.call(http::Method::put, path, fmt::format(R"({{"state":"{}"}})", state));
    exit_code = done ? 0 : report(done.error());
    if (done) fmt::print("token {} is {}\n", options->name, state);
  });
}

}  // namespace

void add_token(CLI::App& app, int& exit_code) {
  auto* token = app.add_subcommand("token", "initialise tokens, recover from a wrong PIN, drain and resume");
  token->require_subcommand(1);
  add_init(*token, exit_code);
  add_login(*token, exit_code);
  add_state(*token, exit_code, "drain", "give a token of a running avseald no new work", "drained");
  add_state(*token, exit_code, "resume", "use a drained token again", "active");
}

}  // namespace avseal::cli
