// The states of a running node's logical keys.
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "cli/key_commands.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

constexpr int patience = 30;  // repetitions

struct StateOptions {
  OperatorClient node;
  std::string name;
  std::string reason;  // retire before the overlap is over
};

std::string text_of(const boost::json::object& object, std::string_view name) {
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string("-");
}

Result<void> print_states(const StateOptions& options) {
  AVSEAL_TRY(const auto answer, options.node.call(http::Method::get, "/operations/v1/keys"));
  AVSEAL_TRY(const auto document, tokens::parse_json(answer.body));
  const auto* list = document.is_object() ? document.get_object().if_contains("keys") : nullptr;
  if (list == nullptr || !list->is_array()) {
    return errors::make(Category::internal, "answer-unusable", "the node's answer holds no keys");
  }
  constexpr std::string_view row = "{:<20} {:<16} {:<10} {:<21} {:<21} {}\n";
  fmt::print(row, "NAME", "KIND", "STATE", "SINCE", "RETIRE FROM", "BY");
  for (const auto& entry : list->get_array()) {
    const auto& key = entry.as_object();
    fmt::print(row, text_of(key, "name"), text_of(key, "kind"), text_of(key, "state"), text_of(key, "since"),
               text_of(key, "retireFrom"), text_of(key, "actor"));
  }
  return {};
}

Result<void> put_state(const StateOptions& options, std::string_view state) {
  boost::json::object body{{"state", state}};
  if (!options.reason.empty()) body["force"] = options.reason;
  const auto ask = [&] {
    return options.node.call(http::Method::put, "/operations/v1/keys/" + options.name, boost::json::serialize(body));
  };
  auto answer = ask();
  // The node goes on after a request's deadline; asking again is harmless and says what came of it.
  for (int again = 0; !answer && answer.error().retry_after.count() > 0 && again < patience; ++again) {
    std::this_thread::sleep_for(answer.error().retry_after);
    answer = ask();
  }
  if (!answer) return answer.error();
  fmt::print("key '{}' is {}\n", options.name, state);
  return {};
}

CLI::App& add_state(CLI::App& key, const std::string& name, const std::string& description, std::string state,
                    const std::shared_ptr<StateOptions>& options, int& exit_code) {
  CLI::App* command = key.add_subcommand(name, description);
  options->node.add_to(*command);
  command->add_option("--name", options->name, "name of the key in avseald.toml")->required();
  command->callback([options, state = std::move(state), &exit_code] {
    const auto done = put_state(*options, state);
    exit_code = done ? 0 : report(done.error());
  });
  return *command;
}

}  // namespace

void add_key_states(CLI::App& key, int& exit_code) {
  auto options = std::make_shared<StateOptions>();
  CLI::App* states = key.add_subcommand("states", "show which keys a running node signs with, stages, only verifies");
  options->node.add_to(*states);
  states->callback([options, &exit_code] {
    const auto done = print_states(*options);
    exit_code = done ? 0 : report(done.error());
  });

  add_state(key, "stage", "make a configured key the next one of its kind", "staged", std::make_shared<StateOptions>(),
            exit_code);
  add_state(key, "activate", "sign with a staged key from now on; the earlier one verifies on", "active",
            std::make_shared<StateOptions>(), exit_code);
  options = std::make_shared<StateOptions>();
  CLI::App& retiring = add_state(key, "retire", "take a key out of use once nothing that it signed is valid any more",
                                 "retired", options, exit_code);
  retiring.add_option("--force", options->reason, "do it now, for this reason, which goes into the ledger");
}

}  // namespace avseal::cli
