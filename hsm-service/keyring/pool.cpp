#include "keyring/pool.hpp"

#include <algorithm>
#include <tuple>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "keyring/errors.hpp"

namespace avseal::keyring {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto sweep_interval = 5ms;
constexpr auto answer_margin = 25ms;  // before the deadline, for the caller to log and answer with the cause
constexpr std::chrono::milliseconds first_backoff = 5ms;
constexpr std::chrono::milliseconds longest_backoff = 100ms;
constexpr std::size_t max_late_uses = 16384;
constexpr std::size_t late_uses_per_slot = 16;

Instant now_steady() {
  return std::chrono::steady_clock::now();
}

// Refusals by policy: another worker would refuse too.
bool is_refusal(std::string_view reason) {
  return reason == "not-of-key-kind" || reason == "crl-number-not-rising" || reason == "key-unknown" ||
         reason == "operation-refused";
}

}  // namespace

Error Pool::why_not(const Request& request) const {
  const auto& name = keys_[request.key].name;
  if (ends(request)) return errors::unavailable(name, "this node is shutting down");
  if (!request.last_failure.empty()) return errors::unavailable(name, request.last_failure);
  if (!has_usable_worker(request.key)) return errors::unavailable(name, status(request.key).why_not);
  return errors::deadline(name);
}

void Pool::submit(Request& request) {
  const auto now = now_steady();
  PoolKey& key = keys_[request.key];
  if (request.submitted == Instant{} && !request.only) request.deadline -= answer_margin;
  request.submitted = now;
  request.answer.reset();
  if (ends(request)) return deliver(request, errors::unavailable(key.name, "this node is shutting down"));
  if (now >= request.deadline) return deliver(request, errors::deadline(key.name));
  if (Worker* worker = choose(request, now)) return assign(*worker, request, now);
  if (request.only)
    return deliver(request, errors::unavailable(key.name, "the worker is not usable or its window is full"));
  if (!key.queue.has_room(request.priority)) return deliver(request, errors::busy(key.name, key.queue.retry_after()));
  if (now + key.queue.expected_wait(request.priority) >= request.deadline) {
    return deliver(request, errors::too_late(key.name, key.queue.retry_after()));
  }
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
    if (!takes(worker, request.key) || worker.full() || request.outstanding.has(index)) continue;
    const std::tuple rank{request.failed.has(index), worker.suspect(now), worker.outstanding()};
    if (best == nullptr || rank < best_rank) {
      best = &worker;
      best_rank = rank;
    }
  }
  return best;
}

void Pool::assign(Worker& worker, Request& request, Instant now) {
  tokens_[worker.token()].last_used = now;
  auto sent = worker.send(request, now);
  if (!sent) return deliver(request, sent.error());
  arm();
}

void Pool::enqueue(Request& request, bool first) {
  if (request.waiting) return;
  request.waiting = true;
  ++waiting_;
  auto& key = keys_[request.key];
  key.metrics.waiting[static_cast<std::size_t>(request.priority)]->Increment();
  first ? key.queue.push_front(request) : key.queue.push_back(request);
  arm();
}

void Pool::dequeue(Request& request) {
  if (!request.waiting) return;
  request.waiting = false;
  --waiting_;
  auto& key = keys_[request.key];
  key.metrics.waiting[static_cast<std::size_t>(request.priority)]->Decrement();
  key.queue.erase(request);
}

// One request of each key in turn, so that no key starves another one on the same token; batch work last.
void Pool::pump() {
  if (waiting_ == 0 || closed_) return;
  const auto now = now_steady();
  for (const auto priority : {Priority::live, Priority::batch}) {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& key : keys_) moved = assign_next(key, priority, now) || moved;
    }
  }
}

bool Pool::assign_next(PoolKey& key, Priority priority, Instant now) {
  for (Request* request : key.queue.line(priority)) {
    if (now < request->not_before) continue;
    Worker* worker = choose(*request, now);
    if (worker == nullptr && request->outstanding.empty()) return false;  // nor for those behind it
    if (worker == nullptr) continue;
    dequeue(*request);
    assign(*worker, *request, now);
    return true;
  }
  return false;
}

void Pool::deliver(Request& request, Result<Answer> answer) {
  if (request.answer) return;
  request.answer = std::move(answer);
  for (std::size_t i = 0; i < workers_.size() && !request.outstanding.empty(); ++i) {
    if (!request.outstanding.has(i)) continue;
    workers_[i]->forget(request);
    request.outstanding.remove(i);
  }
  dequeue(request);
  if (request.resume) {
    auto resume = std::move(*request.resume);
    request.resume.reset();
    asio::post(executor_, std::move(resume));
  }
}

void Pool::answered(Request& request, Answer answer) {
  keys_[request.key].queue.answered(now_steady());
  deliver(request, std::move(answer));
}

void Pool::failed(Worker& worker, Request& request, const Error& error) {
  PoolKey& key = keys_[request.key];
  if (is_refusal(error.reason)) return deliver(request, errors::refused(key.name, error.detail));
  if (error.reason == "wrapped-invalid") return deliver(request, errors::wrapped_key_malformed(error.detail));
  const auto now = now_steady();
  const bool too_fast = error.reason == "rate-exceeded";
  const bool another = std::any_of(key.workers.begin(), key.workers.end(), [&](std::size_t index) {
    return takes(*workers_[index], request.key) && !request.failed.has(index);
  });
  if (too_fast && !another && request.outstanding.empty()) {
    return deliver(request, errors::refused(key.name, error.detail));
  }
  if (!too_fast) {
    request.last_failure = fmt::format("worker {}: {}: {}", worker.name(), error.reason, error.detail);
    worker.avoid(now);
    if (error.reason == "hsm-error") discredit(worker, request.key, error.detail);
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
  if (ends(request)) return deliver(request, why_not(request));
  if (now_steady() >= request.deadline) return deliver(request, why_not(request));
  if (request.only) {
    return deliver(request, errors::unavailable(key.name, why == Discard::late ? "no answer within the attempt's limit"
                                                                               : "the worker was lost"));
  }
  key.metrics.discarded(why);
  enqueue(request, true);
}

void Pool::late(ledger::KeyUse use) {
  if (late_uses_.size() >= max_late_uses) {
    spdlog::error("event=late-use-lost worker={} key={} sequence={}", use.worker, use.key, use.sequence);
    return;
  }
  late_uses_.push_back(std::move(use));
  if (config_.on_late_use) config_.on_late_use();
}

std::vector<ledger::KeyUse> Pool::take_late_uses() {
  if (late_uses_.size() <= late_uses_per_slot) return std::exchange(late_uses_, {});
  const auto end = late_uses_.begin() + static_cast<std::ptrdiff_t>(late_uses_per_slot);
  std::vector<ledger::KeyUse> taken(std::make_move_iterator(late_uses_.begin()), std::make_move_iterator(end));
  late_uses_.erase(late_uses_.begin(), end);
  return taken;
}

void Pool::inherit_late_uses(Pool& earlier) {
  for (auto uses = earlier.take_late_uses(); !uses.empty(); uses = earlier.take_late_uses()) {
    for (auto& use : uses) late(std::move(use));
  }
}

void Pool::give_up_late() {
  late_ = true;
  for (auto& key : keys_) {
    fail_waiting(key, [](const Request& request) { return request.for_slot; });
  }
  for (const auto& worker : workers_) worker->give_up_late();
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
  for (auto& key : keys_) {
    fail_waiting(key, [now](const Request& request) { return now >= request.deadline; });
  }
  pump();
  if (busy || waiting_ > 0) arm();
}

void Pool::fail_waiting(PoolKey& key, const std::function<bool(const Request&)>& which) {
  for (const auto priority : {Priority::live, Priority::batch}) {
    auto& line = key.queue.line(priority);
    for (std::size_t i = 0; i < line.size();) {
      Request& request = *line[i];
      if (which(request)) {
        deliver(request, why_not(request));
      } else {
        ++i;
      }
    }
  }
}

void Pool::expired(Request& request) {
  deliver(request, why_not(request));
}

}  // namespace avseal::keyring
