#include "keyring/pool.hpp"

#include <algorithm>
#include <tuple>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto sweep_interval = 5ms;
constexpr auto outage_limit = 1s;  // without any worker for a key: new requests wait for one only this long
constexpr std::chrono::milliseconds first_backoff = 5ms;
constexpr std::chrono::milliseconds longest_backoff = 100ms;
constexpr std::size_t max_late_uses = 1024;
constexpr std::size_t late_uses_per_slot = 16;
constexpr std::size_t max_window = 4096;

Instant now_steady() {
  return std::chrono::steady_clock::now();
}

// Refusals by policy: another worker would refuse too.
bool is_refusal(std::string_view reason) {
  return reason == "not-of-key-kind" || reason == "key-unknown" || reason == "operation-refused";
}

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
  PoolKey key{config.name, config.kind, {}, {}, config.primary, {}, {}, KeyMetrics(registry, config.name)};
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
  for (const auto& token : config_.tokens) {
    for (const auto& socket : token.sockets) {
      if (workers_.size() == max_workers) {
        return errors::key_configuration(fmt::format("more than {} workers are configured", max_workers));
      }
      if (socket.native().size() >= 108) {  // sun_path
        return errors::key_configuration(
            fmt::format("socket path {} of token '{}' is longer than 107 bytes", socket.string(), token.name));
      }
      workers_.push_back(std::make_unique<Worker>(*this, workers_.size(), WorkerAddress{token.name, socket},
                                                  config_.window, executor_, registry));
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
  while (!queue_.empty()) {
    Request& request = *queue_.front();
    deliver(request, errors::unavailable(keys_[request.key].name, "this node is shutting down"));
  }
  sweep_timer_.cancel();
  changed_.cancel();
}

asio::awaitable<Result<void>> Pool::wait_until_usable(std::shared_ptr<Pool> pool, Instant until) {
  while (!pool->closed_) {
    std::string lacking;
    bool hopeless = false;
    for (std::size_t i = 0; i < pool->keys_.size() && lacking.empty(); ++i) {
      const PoolKey& key = pool->keys_[i];
      if (!key.primary || pool->has_usable_worker(i)) continue;
      hopeless = std::all_of(key.workers.begin(), key.workers.end(),
                             [&](std::size_t index) { return pool->workers_[index]->ready(); });
      lacking = fmt::format("no worker can use it: {}", pool->status(i).why_not);
      if (hopeless || now_steady() >= until) co_return errors::unavailable(key.name, lacking);
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

bool Pool::has_usable_worker(std::size_t key) const {
  const auto& candidates = keys_[key].workers;
  return std::any_of(candidates.begin(), candidates.end(),
                     [&](std::size_t index) { return workers_[index]->usable(key); });
}

KeyStatus Pool::status(std::size_t index) const {
  const PoolKey& key = keys_[index];
  KeyStatus status{key.name, key.kind, has_usable_worker(index), {}};
  for (const auto worker : key.workers) {
    const auto why = workers_[worker]->why_not(index);
    if (why.empty()) continue;
    if (!status.why_not.empty()) status.why_not += "; ";
    status.why_not += fmt::format("worker {}: {}", workers_[worker]->name(), why);
  }
  if (key.workers.empty()) status.why_not = "no token with a worker holds it";
  return status;
}

Error Pool::why_not(const Request& request) const {
  const auto& name = keys_[request.key].name;
  if (!request.last_failure.empty()) return errors::unavailable(name, request.last_failure);
  if (!has_usable_worker(request.key)) return errors::unavailable(name, status(request.key).why_not);
  return errors::deadline(name);
}

void Pool::submit(Request& request) {
  const auto now = now_steady();
  const PoolKey& key = keys_[request.key];
  request.answer.reset();
  if (closed_) return deliver(request, errors::unavailable(key.name, "this node is shutting down"));
  if (now >= request.deadline) return deliver(request, errors::deadline(key.name));
  if (Worker* worker = choose(request, now)) return assign(*worker, request, now);
  if (request.only)
    return deliver(request, errors::unavailable(key.name, "the worker is not usable or its window is full"));
  if (!has_usable_worker(request.key) && now - key.last_usable > outage_limit) {
    return deliver(request, why_not(request));
  }
  if (queue_.size() >= config_.max_queue) return deliver(request, errors::busy(key.name));
  enqueue(request, false);
}

asio::awaitable<void> Pool::wait(Request& request) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [&request](auto handler) { request.resume.emplace(std::move(handler)); }, asio::use_awaitable);
}

// Least outstanding first; a worker that failed the request or is suspect only if there is no other.
Worker* Pool::choose(const Request& request, Instant now) {
  if (request.only) {
    Worker& worker = *workers_[*request.only];
    return worker.usable(request.key) && !worker.full() ? &worker : nullptr;
  }
  const auto& candidates = keys_[request.key].workers;
  Worker* best = nullptr;
  std::tuple<bool, bool, std::size_t> best_rank;
  ++turn_;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::size_t index = candidates[(i + turn_) % candidates.size()];
    Worker& worker = *workers_[index];
    if (!worker.usable(request.key) || worker.full() || request.outstanding.has(index)) continue;
    const std::tuple rank{request.failed.has(index), worker.suspect(now), worker.outstanding()};
    if (best == nullptr || rank < best_rank) {
      best = &worker;
      best_rank = rank;
    }
  }
  return best;
}

void Pool::assign(Worker& worker, Request& request, Instant now) {
  auto sent = worker.send(request, now);
  if (!sent) return deliver(request, sent.error());
  arm();
}

void Pool::enqueue(Request& request, bool first) {
  if (request.waiting) return;
  request.waiting = true;
  if (first) {
    queue_.push_front(&request);
  } else {
    queue_.push_back(&request);
  }
  arm();
}

void Pool::pump() {
  if (queue_.empty() || closed_) return;
  const auto now = now_steady();
  const auto has_room = [](const auto& worker) { return worker->ready() && !worker->full(); };
  for (std::size_t i = 0; i < queue_.size() && std::any_of(workers_.begin(), workers_.end(), has_room);) {
    Request& request = *queue_[i];
    Worker* worker = now < request.not_before ? nullptr : choose(request, now);
    if (worker == nullptr) {
      ++i;
      continue;
    }
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    request.waiting = false;
    assign(*worker, request, now);
  }
}

void Pool::deliver(Request& request, Result<Answer> answer) {
  if (request.answer) return;
  request.answer = std::move(answer);
  for (std::size_t i = 0; i < workers_.size() && !request.outstanding.empty(); ++i) {
    if (!request.outstanding.has(i)) continue;
    workers_[i]->forget(request);
    request.outstanding.remove(i);
  }
  if (request.waiting) {
    queue_.erase(std::find(queue_.begin(), queue_.end(), &request));
    request.waiting = false;
  }
  if (request.resume) {
    auto resume = std::move(*request.resume);
    request.resume.reset();
    asio::post(executor_, std::move(resume));
  }
}

void Pool::failed(Worker& worker, Request& request, const Error& error) {
  PoolKey& key = keys_[request.key];
  if (is_refusal(error.reason)) return deliver(request, errors::refused(key.name, error.detail));
  if (error.reason == "wrapped-invalid") return deliver(request, errors::wrapped_key_malformed(error.detail));
  const auto now = now_steady();
  const bool too_fast = error.reason == "rate-exceeded";
  const bool another = std::any_of(key.workers.begin(), key.workers.end(), [&](std::size_t index) {
    return workers_[index]->usable(request.key) && !request.failed.has(index);
  });
  if (too_fast && !another && request.outstanding.empty()) {
    return deliver(request, errors::refused(key.name, error.detail));
  }
  if (!too_fast) {
    request.last_failure = fmt::format("worker {}: {}: {}", worker.name(), error.reason, error.detail);
    worker.failed(now);
  }
  if (request.only) return deliver(request, errors::unavailable(key.name, error.detail));
  if (!another) {
    request.failed.clear();
    request.backoff = std::clamp(request.backoff * 2, first_backoff, longest_backoff);
    request.not_before = now + request.backoff;
  }
  retry(request, Discard::hsm_error);
}

void Pool::retry(Request& request, Discard why) {
  PoolKey& key = keys_[request.key];
  if (closed_) return deliver(request, errors::unavailable(key.name, "this node is shutting down"));
  if (now_steady() >= request.deadline) return deliver(request, why_not(request));
  if (request.only) {
    return deliver(request, errors::unavailable(key.name, why == Discard::late ? "no answer within the attempt's limit"
                                                                               : "the worker was lost"));
  }
  key.metrics.discarded(why);
  enqueue(request, true);
}

void Pool::late(ledger::KeyUse use) {
  if (late_uses_.size() < max_late_uses) late_uses_.push_back(std::move(use));
}

std::vector<ledger::KeyUse> Pool::take_late_uses() {
  if (late_uses_.size() <= late_uses_per_slot) return std::exchange(late_uses_, {});
  const auto end = late_uses_.begin() + static_cast<std::ptrdiff_t>(late_uses_per_slot);
  std::vector<ledger::KeyUse> taken(std::make_move_iterator(late_uses_.begin()), std::make_move_iterator(end));
  late_uses_.erase(late_uses_.begin(), end);
  return taken;
}

void Pool::lost(std::size_t worker, const WorkerLoss& loss) {
  const auto now = now_steady();
  for (auto& key : keys_) {
    if (std::find(key.workers.begin(), key.workers.end(), worker) != key.workers.end()) key.last_usable = now;
  }
  if (config_.on_worker_lost && !closed_) config_.on_worker_lost(loss);
  pump();
}

void Pool::arm() {
  if (armed_ || closed_) return;
  armed_ = true;
  sweep_timer_.expires_after(sweep_interval);
  sweep_timer_.async_wait([weak = weak_from_this()](boost::system::error_code ec) {
    if (auto pool = weak.lock(); pool && !ec) pool->tick();
  });
}

void Pool::tick() {
  armed_ = false;
  const auto now = now_steady();
  bool busy = false;
  for (const auto& worker : workers_) {
    worker->sweep(now, config_.attempt_limit);
    busy = busy || worker->outstanding() > 0;
  }
  for (std::size_t i = 0; i < queue_.size();) {
    Request& request = *queue_[i];
    if (now < request.deadline) {
      ++i;
    } else {
      deliver(request, why_not(request));
    }
  }
  pump();
  if (busy || !queue_.empty()) arm();
}

void Pool::expired(Request& request) {
  deliver(request, why_not(request));
}

}  // namespace avseal::keyring
