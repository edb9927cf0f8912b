#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/object_input.hpp"
#include "tokens/jws.hpp"

namespace avseal::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t max_jws_size = 64 * 1024;

struct InspectOptions {
  std::string token;
  std::string key;
};

void print(const json::value& value, int indent) {
  const std::string margin(static_cast<std::size_t>(indent) + 2, ' ');
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    fmt::print("{{\n");
    std::size_t left = object->size();
    for (const auto& member : *object) {
      fmt::print("{}{}: ", margin, json::serialize(member.key()));
      print(member.value(), indent + 2);
      fmt::print("{}\n", --left > 0 ? "," : "");
    }
    fmt::print("{}}}", std::string(static_cast<std::size_t>(indent), ' '));
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    fmt::print("[\n");
    std::size_t left = array->size();
    for (const auto& element : *array) {
      fmt::print("{}", margin);
      print(element, indent + 2);
      fmt::print("{}\n", --left > 0 ? "," : "");
    }
    fmt::print("{}]", std::string(static_cast<std::size_t>(indent), ' '));
  } else {
    fmt::print("{}", json::serialize(value));
  }
}

Result<std::string> read_token(const std::string& argument) {
  AVSEAL_TRY(const std::string text, argument == "-"             ? read_stdin()
                                     : argument.starts_with('@') ? read_file(argument.substr(1))
                                                                 : Result<std::string>(argument));
  const std::string token = trimmed(text);
  return trimmed(token.substr(0, token.find(';')));  // an Identity header value has its parameters after the token
}

Result<void> inspect(const InspectOptions& options) {
  AVSEAL_TRY(const std::string token, read_token(options.token));
  AVSEAL_TRY(const auto jws, tokens::parse_jws(token, max_jws_size));
  fmt::print("header ");
  print(jws.header, 0);
  fmt::print("\nclaims ");
  print(jws.payload, 0);
  fmt::print("\n");
  if (const auto* claims = jws.payload.if_object()) {
    for (const char* name : {"iat", "nbf", "exp"}) {
      const auto* time = claims->if_contains(name);
      if (time != nullptr && time->is_int64()) fmt::print("{}       {}\n", name, time_text(time->get_int64()));
    }
  }
  if (options.key.empty()) {
    fmt::print("signature not checked; give the signer's key with --key\n");
    return {};
  }
  AVSEAL_TRY(const auto key, read_public_key(options.key));
  fmt::print("key       {} {}\n", to_string(key.algorithm()), key.thumbprint());
  AVSEAL_CHECK(verify_jws(jws, key));
  fmt::print("signature valid\n");
  return {};
}

}  // namespace

void add_inspect(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<InspectOptions>();
  auto* command = app.add_subcommand("inspect", "Decode a compact JWS; with --key check its signature");
  command
      ->add_option("TOKEN", options->token,
                   "the JWS or Identity header value itself, @FILE to read it from a file, - from the standard input")
      ->required();
  command->add_option("--key", options->key, "signer's PEM public key, PEM certificate or JWK")
      ->check(CLI::ExistingFile);
  command->footer(
      "Shows what a token says. Only `avseal verify` checks who signed it and whether it is valid now.\n"
      "Exit status: 0 if the token is well-formed and, with --key, its signature is valid; 1 otherwise.");
  command->callback([options, &exit_code] {
    if (const auto done = inspect(*options); !done) {
      std::fflush(stdout);
      fmt::print(stderr, "invalid: {} ({})\n", done.error().detail, done.error().reason);
      exit_code = 1;
    }
  });
}

}  // namespace avseal::cli
