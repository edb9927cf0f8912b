// The pool's life: creation, waiting until it is usable, end. Requests: pool.cpp; tokens: pool_tokens.cpp.
#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "keyring/errors.hpp"
#include "keyring/pool.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t max_window = 4096;

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
    auto& token = tokens_.emplace_back(
        PoolToken{config.name, config.drained, asio::steady_timer(executor_), TokenMetrics(registry, config.name), {}});
    token.metrics.drained->Set(token.drained ? 1 : 0);
    for (const auto& key : keys_) token.keys.emplace_back(registry, token.name, key.name);
    for (const auto& socket : config.sockets) {
      if (workers_.size() == max_workers) {
        return errors::key_configuration(fmt::format("more than {} workers are configured", max_workers));
      }
      if (socket.native().size() >= 108) {  // sun_path
        return errors::key_configuration(
            fmt::format("socket path {} of token '{}' is longer than 107 bytes", socket.string(), token.name));
      }
      token.workers.push_back(workers_.size());
      workers_.push_back(std::make_unique<Worker>(
          *this, workers_.size(), WorkerAddress{tokens_.size() - 1, token.name, token.workers.size(), socket},
          config_.window, executor_, registry));
    }
  }
  return {};
}

void Pool::start() {
  for (const auto& worker : workers_) asio::co_spawn(executor_, worker->run(shared_from_this()), asio::detached);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    asio::co_spawn(executor_, watch(shared_from_this(), i), asio::detached);
  }
}

void Pool::close() {
  if (closed_) return;
  closed_ = true;
  for (const auto& worker : workers_) worker->close();
  for (auto& token : tokens_) {
    token.probe_timer.cancel();
    if (!token.breaker.closed()) token.metrics.breaker_open->Decrement();
  }
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

}  // namespace avseal::keyring
