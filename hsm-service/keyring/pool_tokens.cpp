// The pool's tokens: which may be used, breakers and their probes, drain, status.
#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "keyring/errors.hpp"
#include "keyring/pool.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;

constexpr std::string_view drained_why = "the token is drained by an operator";

Instant now_steady() {
  return std::chrono::steady_clock::now();
}

}  // namespace

bool Pool::eligible(const Worker& worker, std::size_t key) const {
  return worker.usable(key) && !tokens_[worker.token()].drained;
}

// While a token's breaker is open its workers get only what no other token could do.
bool Pool::takes(const Worker& worker, std::size_t key) const {
  if (!eligible(worker, key)) return false;
  if (tokens_[worker.token()].breaker.closed()) return true;
  const auto& candidates = keys_[key].workers;
  return std::none_of(candidates.begin(), candidates.end(), [&](std::size_t index) {
    return eligible(*workers_[index], key) && tokens_[workers_[index]->token()].breaker.closed();
  });
}

bool Pool::has_worker(const PoolToken& token) const {
  return std::any_of(token.workers.begin(), token.workers.end(),
                     [&](std::size_t index) { return workers_[index]->ready(); });
}

void Pool::connected(const Worker& worker, tokend::TokenInfo info, const WorkerCounts& counts) {
  if (config_.on_worker_connected && !counts.last_sequences.empty()) config_.on_worker_connected(counts);
  auto& token = tokens_[worker.token()];
  token.info = std::move(info);
  token.last_used = now_steady();
  redraw_idle_limit(token);
  token.breaker.probe_soon(token.last_used);
  token.probe_timer.cancel();
  changed_.cancel();
  pump();
}

void Pool::unreachable(const Worker& worker, const std::string& why) {
  auto& token = tokens_[worker.token()];
  if (has_worker(token)) return;
  token.last_error = fmt::format("worker {}: {}", worker.name(), why);
  if (token.breaker.trip(now_steady())) tripped(token, why);
}

void Pool::lost(const Worker& worker, const WorkerLoss& loss) {
  if (closed_) {
    if (config_.on_worker_lost && loss.in_flight != 0) config_.on_worker_lost(loss);
    return;
  }
  auto& token = tokens_[worker.token()];
  const auto now = now_steady();
  token.last_error = fmt::format("worker {}: lost: {}", worker.name(), loss.reason);
  const bool opened = has_worker(token) ? token.breaker.attempt_failed(now) : token.breaker.trip(now);
  if (opened) tripped(token, loss.reason);
  if (config_.on_worker_lost) config_.on_worker_lost(loss);
  pump();
}

void Pool::credit(const Worker& worker) {
  if (closed_) return;
  auto& token = tokens_[worker.token()];
  if (token.breaker.succeeded()) recovered(token);
}

void Pool::discredit(const Worker& worker, std::size_t key, std::string_view why) {
  if (closed_) return;
  auto& token = tokens_[worker.token()];
  note_failure(token, worker, key, why, token.breaker.attempt_failed(now_steady()));
}

// A token all of whose workers owe an answer hangs.
void Pool::was_late(const Worker& worker, std::size_t key) {
  if (closed_) return;
  auto& token = tokens_[worker.token()];
  const bool hangs = std::all_of(token.workers.begin(), token.workers.end(), [&](std::size_t index) {
    return !workers_[index]->ready() || workers_[index]->owes();
  });
  const auto now = now_steady();
  note_failure(token, worker, key, "no answer within the attempt's limit",
               hangs ? token.breaker.trip(now) : token.breaker.attempt_failed(now));
}

void Pool::note_failure(PoolToken& token, const Worker& worker, std::size_t key, std::string_view why, bool opened) {
  token.last_error = fmt::format("worker {}, key '{}': {}", worker.name(), keys_[key].name, why);
  token.probe_key = key;
  if (opened) tripped(token, why);
}

void Pool::tripped(PoolToken& token, std::string_view why) {
  token.metrics.breaker_open->Increment();
  token.probe_timer.cancel();
  if (config_.on_breaker) config_.on_breaker({token.name, true, std::string(why)});
}

void Pool::recovered(PoolToken& token) {
  token.metrics.breaker_open->Decrement();
  token.probe_timer.cancel();
  if (config_.on_breaker) config_.on_breaker({token.name, false, {}});
  pump();
}

// Different for each thread and time, so that their probes do not meet.
void Pool::redraw_idle_limit(PoolToken& token) {
  std::uniform_int_distribution<std::int64_t> percent(75, 125);
  token.idle_limit = config_.idle_probe * percent(random_) / 100;
}

Instant Pool::next_probe(const PoolToken& token) const {
  if (token.drained || !has_worker(token)) return Instant::max();
  return token.breaker.closed() ? token.last_used + token.idle_limit : token.breaker.probe_at();
}

asio::awaitable<void> Pool::watch(std::shared_ptr<Pool> pool, std::size_t index) {
  auto& token = pool->tokens_[index];
  while (!pool->closed_) {
    token.probe_timer.expires_at(pool->next_probe(token));
    co_await token.probe_timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!pool->closed_ && now_steady() >= pool->next_probe(token)) co_await probe(pool, index);
  }
}

asio::awaitable<void> Pool::probe(std::shared_ptr<Pool> pool, std::size_t index) {
  auto& token = pool->tokens_[index];
  const auto begun = now_steady();
  std::string why = "no worker of it can take a probe";
  const auto target = pool->probe_target(token, begun);
  if (!token.breaker.closed()) token.breaker.probing();
  if (target) {
    Request request;
    request.operation = tokend::FrameType::probe;
    request.only = target->first;
    request.key = target->second;
    request.deadline = begun + pool->config_.attempt_limit;
    pool->submit(request);
    if (!request.answer) co_await pool->wait(request);
    why = *request.answer ? std::string() : request.answer->error().detail;
  }
  if (pool->closed_) co_return;
  token.last_used = now_steady();
  pool->redraw_idle_limit(token);
  (why.empty() ? token.metrics.probes_passed : token.metrics.probes_failed)->Increment();
  if (why.empty()) {
    if (token.breaker.succeeded()) pool->recovered(token);
  } else {
    token.last_error = "probe: " + why;
    if (token.breaker.probe_failed(token.last_used)) pool->tripped(token, why);
  }
}

// The key that failed last if there is one, else the next in turn; a worker that owes nothing if there is one.
std::optional<std::pair<std::size_t, std::size_t>> Pool::probe_target(PoolToken& token, Instant now) {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const std::size_t key = (token.probe_key + i) % keys_.size();
    std::optional<std::size_t> best;
    for (const auto index : token.workers) {
      const Worker& worker = *workers_[index];
      const auto& holders = keys_[key].workers;
      if (!worker.usable(key) || worker.full() || std::find(holders.begin(), holders.end(), index) == holders.end()) {
        continue;
      }
      if (!best || (workers_[*best]->suspect(now) && !worker.suspect(now))) best = index;
    }
    if (!best) continue;
    if (token.breaker.closed()) token.probe_key = (key + 1) % keys_.size();
    return std::pair{*best, key};
  }
  return std::nullopt;
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
    status.label = token.info.label;
    status.serial = token.info.serial;
    status.manufacturer = token.info.manufacturer;
    status.model = token.info.model;
    status.firmware = token.info.firmware;
    status.breaker = token.breaker.state();
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
  token->metrics.drained->Set(drained ? 1 : 0);
  token->probe_timer.cancel();
  spdlog::warn("token {} {}", name, drained ? "is drained: it gets no new work" : "takes work again");
  pump();
  return {};
}

void Pool::keep_drained(const Pool& earlier) {
  for (auto& token : tokens_) {
    const auto same = [&](const PoolToken& other) { return other.name == token.name && other.drained; };
    token.drained = token.drained || std::any_of(earlier.tokens_.begin(), earlier.tokens_.end(), same);
    token.metrics.drained->Set(token.drained ? 1 : 0);
  }
}

}  // namespace avseal::keyring
