// The pool's life and what it tells: creation, waiting until it is usable, status, drain. Requests: pool.cpp.
#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "keyring/errors.hpp"
#include "keyring/pool.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t max_window = 4096;
constexpr std::string_view drained_why = "the token is drained by an operator";

}  // namespace

Pool::Pool(const KeyringConfig& config, asio::any_io_executor executor)
    : config_(config), executor_(executor), sweep_timer_(executor), changed_(executor) {}

Result<std::shared_ptr<Pool>> Pool::create(const KeyringConfig& config, const Keys& keys,
                                           asio::any_io_executor executor, prometheus::Registry& registry) {
  if (config.window < 1 || config.window > max_window) {
    return errors::key_configuration(fmt::format("window is {}; expected 1 to {}", config.window, max_window));
  }
  if (config.attempt_limit < 1ms) return errors::key_configuration("attempt_limit must be at least 1 ms");
  auto pool = std::shared_ptr<Pool>(new Pool(config, std::move(executor)));
  for (const auto& key : config.keys) {
    AVSEAL_CHECK(pool->add_key(key, keys, registry));
  }
  AVSEAL_CHECK(pool->add_workers(registry));
  return pool;
}

Result<void> Pool::add_key(const KeyConfig& config, const Keys& keys, prometheus::Registry& registry) {
  PoolKey key{.name = config.name,
              .kind = config.kind,
              .spki = {},
              .kid = {},
              .primary = config.primary,
              .workers = {},
              .queue = RequestQueue(config_.max_queue),
              .metrics = KeyMetrics(registry, config.name)};
  if (config.kind != KeyKind::dac_kek) {
    const auto known = std::find_if(keys.all().begin(), keys.all().end(),
                                    [&](const SigningKey& candidate) { return candidate.name == config.name; });
    if (known == keys.all().end()) {
      return errors::key_configuration(fmt::format("key '{}' was not loaded with its certificate", config.name));
    }
    key.spki = known->public_key.spki();
    key.kid = known->kid;
  }
  std::size_t first = 0;
  for (const auto& token : config_.tokens) {
    const bool holds = std::find(config.tokens.begin(), config.tokens.end(), token.name) != config.tokens.end();
    for (std::size_t i = 0; holds && i < token.sockets.size(); ++i) key.workers.push_back(first + i);
    first += token.sockets.size();
  }
  for (const auto& name : config.tokens) {
    const bool exists = std::any_of(config_.tokens.begin(), config_.tokens.end(),
                                    [&](const TokenConfig& token) { return token.name == name; });
    if (!exists) {
      return errors::key_configuration(
          fmt::format("key '{}' is on token '{}', which is not configured", config.name, name));
    }
  }
  keys_.push_back(std::move(key));
  return {};
}

Result<void> Pool::add_workers(prometheus::Registry& registry) {
  for (const auto& config : config_.tokens) {
    auto& token = tokens_.emplace_back(PoolToken{config.name, {}, config.drained, {}});
    for (const auto& socket : config.sockets) {
      if (workers_.size() == max_workers) {
        return errors::key_configuration(fmt::format("more than {} workers are configured", max_workers));
      }
      if (socket.native().size() >= 108) {  // sun_path
        return errors::key_configuration(
            fmt::format("socket path {} of token '{}' is longer than 107 bytes", socket.string(), token.name));
      }
      token.workers.push_back(workers_.size());
      workers_.push_back(std::make_unique<Worker>(*this, workers_.size(),
                                                  WorkerAddress{tokens_.size() - 1, token.name, socket}, config_.window,
                                                  executor_, registry));
    }
  }
  return {};
}

void Pool::start() {
  for (const auto& worker : workers_) asio::co_spawn(executor_, worker->run(shared_from_this()), asio::detached);
}

void Pool::close() {
  if (closed_) return;
  closed_ = true;
  for (const auto& worker : workers_) worker->close();
  for (auto& key : keys_) {
    fail_waiting(key, [](const Request&) { return true; });
  }
  sweep_timer_.cancel();
  changed_.cancel();
}

asio::awaitable<Result<void>> Pool::wait_until_usable(std::shared_ptr<Pool> pool, Instant until) {
  while (!pool->closed_) {
    std::string lacking;
    for (std::size_t i = 0; i < pool->keys_.size() && lacking.empty(); ++i) {
      const PoolKey& key = pool->keys_[i];
      if (!key.primary || pool->has_usable_worker(i)) continue;
      const bool hopeless = std::all_of(key.workers.begin(), key.workers.end(),
                                        [&](std::size_t index) { return pool->workers_[index]->ready(); });
      lacking = fmt::format("no worker can use it: {}", pool->status(i).why_not);
      if (hopeless || std::chrono::steady_clock::now() >= until) co_return errors::unavailable(key.name, lacking);
    }
    if (lacking.empty()) co_return Result<void>{};
    pool->changed_.expires_at(until);
    co_await pool->changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return errors::unavailable("", "closed while starting");
}

void Pool::connected() {
  changed_.cancel();
  pump();
}

std::optional<std::size_t> Pool::find(std::string_view name) const {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> Pool::primary_kek() const {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i].kind == KeyKind::dac_kek && keys_[i].primary) return i;
  }
  return std::nullopt;
}

bool Pool::idle() const {
  const auto in_flight = [](const auto& worker) { return worker->outstanding() > 0; };
  return waiting_ == 0 && std::none_of(workers_.begin(), workers_.end(), in_flight);
}

std::string Pool::why_not(const Worker& worker, std::size_t key) const {
  return tokens_[worker.token()].drained ? std::string(drained_why) : worker.why_not(key);
}

bool Pool::has_usable_worker(std::size_t key) const {
  const auto& candidates = keys_[key].workers;
  return std::any_of(candidates.begin(), candidates.end(),
                     [&](std::size_t index) { return eligible(*workers_[index], key); });
}

KeyStatus Pool::status(std::size_t index) const {
  const PoolKey& key = keys_[index];
  KeyStatus status{key.name, key.kind, has_usable_worker(index), {}};
  for (const auto worker : key.workers) {
    const auto why = why_not(*workers_[worker], index);
    if (why.empty()) continue;
    if (!status.why_not.empty()) status.why_not += "; ";
    status.why_not += fmt::format("worker {}: {}", workers_[worker]->name(), why);
  }
  if (key.workers.empty()) status.why_not = "no token with a worker holds it";
  return status;
}

std::vector<TokenStatus> Pool::tokens() const {
  std::vector<TokenStatus> all;
  for (const auto& token : tokens_) {
    TokenStatus status;
    status.name = token.name;
    status.drained = token.drained;
    status.last_error = token.last_error;
    for (const auto index : token.workers) {
      status.workers.push_back(workers_[index]->status());
      status.connected = status.connected || status.workers.back().connected;
      status.in_flight += status.workers.back().in_flight;
    }
    all.push_back(std::move(status));
  }
  return all;
}

Result<void> Pool::set_drained(std::string_view name, bool drained) {
  const auto token =
      std::find_if(tokens_.begin(), tokens_.end(), [&](const PoolToken& candidate) { return candidate.name == name; });
  if (token == tokens_.end()) return errors::token_unknown(name);
  if (token->drained == drained) return {};
  token->drained = drained;
  for (std::size_t i = 0; drained && i < keys_.size(); ++i) {
    const auto on_it = [&](std::size_t worker) { return &tokens_[workers_[worker]->token()] == &*token; };
    const PoolKey& key = keys_[i];
    if (!key.primary || std::none_of(key.workers.begin(), key.workers.end(), on_it) || has_usable_worker(i)) continue;
    token->drained = false;
    return errors::token_last_replica(name, key.name);
  }
  spdlog::warn("token {} {}", name, drained ? "is drained: it gets no new work" : "takes work again");
  pump();
  return {};
}

void Pool::keep_drained(const Pool& earlier) {
  for (auto& token : tokens_) {
    const auto same = [&](const PoolToken& other) { return other.name == token.name && other.drained; };
    token.drained = token.drained || std::any_of(earlier.tokens_.begin(), earlier.tokens_.end(), same);
  }
}

}  // namespace avseal::keyring
