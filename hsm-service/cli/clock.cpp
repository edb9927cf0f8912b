#include <cstdio>
#include <ctime>
#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/hsm_options.hpp"
#include "cli/operator_client.hpp"
#include "tokens/json.hpp"

namespace avseal::cli {
namespace {

struct ClockState {
  std::string source;
  bool trusted = false;
  std::int64_t step_ms = 0;
  std::int64_t time = 0;
  std::string why;
};

Result<ClockState> ask(const OperatorClient& service) {
  AVSEAL_TRY(const auto response, service.call(http::Method::get, "/operations/v1/clock"));
  AVSEAL_TRY(const auto document, tokens::parse_json(response.body));
  AVSEAL_TRY(auto root, tokens::ObjectReader::open(document));
  ClockState state;
  AVSEAL_TRY(state.source, root.string("source"));
  AVSEAL_TRY(state.trusted, root.boolean("trusted"));
  AVSEAL_TRY(state.step_ms, root.integer("step_ms"));
  AVSEAL_TRY(state.time, root.integer("time"));
  if (!state.trusted) {
    AVSEAL_TRY(state.why, root.string("why"));
  }
  return state;
}

// Exit code 3 while the clock is not trusted.
int show(const OperatorClient& service) {
  const auto state = ask(service);
  if (!state) return report(state.error());
  fmt::print("{}: source {}, stepped by {} ms, {} s from this machine's clock\n",
             state->trusted ? "trusted" : "NOT TRUSTED", state->source, state->step_ms,
             state->time - std::time(nullptr));
  if (!state->trusted) fmt::print("{}\n", state->why);
  return state->trusted ? 0 : 3;
}

int accept(const OperatorClient& service) {
  const boost::json::object body{{"time", std::int64_t{std::time(nullptr)}}};
  const auto response =
      service.call(http::Method::post, "/operations/v1/clock/acceptance", boost::json::serialize(body));
  if (!response) return report(response.error());
  return show(service);
}

}  // namespace

void add_clock(CLI::App& app, int& exit_code) {
  auto* clock = app.add_subcommand("clock", "the clock of a running avseald");
  clock->require_subcommand(1);
  const auto service = std::make_shared<OperatorClient>();

  auto* show_command = clock->add_subcommand("show", "whether the node trusts its time; exit code 3: it does not");
  service->add_to(*show_command);
  show_command->callback([service, &exit_code] { exit_code = show(*service); });

  auto* accept_command = clock->add_subcommand(
      "accept", "say that the node's time is right after a step; this machine's clock must agree within 5 s");
  service->add_to(*accept_command);
  accept_command->callback([service, &exit_code] { exit_code = accept(*service); });
}

}  // namespace avseal::cli
