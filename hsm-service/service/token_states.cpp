#include "service/token_states.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include "service/log.hpp"
#include "service/node.hpp"

namespace avseal::service {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kind = "token";

asio::awaitable<Result<void>> run_on(Node& node, const NodeAct& act) {
  co_return act(node);
}

void add(std::vector<keyring::WorkerStatus>& workers, const keyring::WorkerStatus& seen) {
  const auto found =
      std::find_if(workers.begin(), workers.end(), [&](const auto& worker) { return worker.socket == seen.socket; });
  if (found == workers.end()) {
    workers.push_back(seen);
    return;
  }
  found->connected = found->connected && seen.connected;
  found->in_flight += seen.in_flight;
  found->recoveries = std::max(found->recoveries, seen.recoveries);
  if (found->problem.empty()) found->problem = seen.problem;
}

void add(std::vector<keyring::TokenStatus>& tokens, keyring::TokenStatus seen) {
  const auto found =
      std::find_if(tokens.begin(), tokens.end(), [&](const auto& token) { return token.name == seen.name; });
  if (found == tokens.end()) {
    tokens.push_back(std::move(seen));
    return;
  }
  found->connected = found->connected && seen.connected;
  found->drained = found->drained || seen.drained;
  if (found->breaker == keyring::BreakerState::closed) found->breaker = seen.breaker;
  found->in_flight += seen.in_flight;
  if (found->last_error.empty()) found->last_error = seen.last_error;
  for (const auto& worker : seen.workers) add(found->workers, worker);
}

asio::awaitable<Result<void>> set_everywhere(Shared& shared, std::string token, bool drained) {
  const NodeAct set_it = [&](Node& node) { return node.keyring().set_drained(token, drained); };
  auto set = co_await on_each_node(shared, set_it);
  if (set || !drained) co_return set;
  const NodeAct undo = [&](Node& node) -> Result<void> {
    (void)node.keyring().set_drained(token, false);
    return {};
  };
  (void)co_await on_each_node(shared, undo);
  co_return set;
}

}  // namespace

asio::awaitable<Result<void>> on_each_node(Shared& shared, const NodeAct& act) {
  for (Node* node : shared.nodes) {
    auto there = run_on(*node, act);
    auto done = co_await asio::co_spawn(node->context(), std::move(there), asio::use_awaitable);
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

asio::awaitable<std::vector<keyring::TokenStatus>> token_states(Shared& shared) {
  std::vector<keyring::TokenStatus> tokens;
  const NodeAct look = [&](Node& node) -> Result<void> {
    for (auto& seen : node.keyring().tokens()) add(tokens, std::move(seen));
    return {};
  };
  (void)co_await on_each_node(shared, look);
  co_return tokens;
}

boost::json::object describe(const keyring::TokenStatus& token) {
  boost::json::array workers;
  for (const auto& worker : token.workers) {
    boost::json::object entry{{"socket", worker.socket},
                              {"connected", worker.connected},
                              {"in_flight", worker.in_flight},
                              {"recoveries", worker.recoveries}};
    if (!worker.instance.empty()) entry["instance"] = worker.instance;
    if (!worker.problem.empty()) entry["problem"] = worker.problem;
    workers.push_back(std::move(entry));
  }
  boost::json::object out{{"name", token.name},           {"state", token.drained ? drained_state : active_state},
                          {"connected", token.connected}, {"breaker", to_string(token.breaker)},
                          {"in_flight", token.in_flight}, {"workers", std::move(workers)}};
  if (!token.last_error.empty()) out["last_error"] = token.last_error;
  if (!token.serial.empty() || !token.label.empty()) {
    out["hsm"] = {{"label", token.label},
                  {"serial", token.serial},
                  {"manufacturer", token.manufacturer},
                  {"model", token.model},
                  {"firmware", token.firmware}};
  }
  return out;
}

asio::awaitable<Result<void>> set_drained(Shared& shared, store::OperatorStates& states, std::string token,
                                          bool drained) {
  auto set = co_await set_everywhere(shared, token, drained);
  if (!set) co_return set;
  store::OperatorState row{std::string(kind), token, std::string(drained ? drained_state : active_state)};
  auto stored = co_await states.put(std::move(row));
  if (!stored) (void)co_await set_everywhere(shared, token, !drained);
  co_return stored;
}

asio::awaitable<Result<void>> drain_again(Shared& shared, store::OperatorStates& states) {
  std::string wanted(kind);
  auto rows = co_await states.all(std::move(wanted));
  if (!rows) co_return rows.error();
  for (const auto& row : *rows) {
    if (row.state != drained_state) continue;
    auto set = co_await set_everywhere(shared, row.name, true);
    if (set) {
      spdlog::warn("event=token-drained token={} detail=\"as an operator told before this start\"", row.name);
    } else {
      spdlog::error("event=token-not-drained token={} reason={} detail={}", row.name, set.error().reason,
                    log_value(set.error().detail));
    }
  }
  co_return Result<void>{};
}

}  // namespace avseal::service
