#include "tokend/session_pool.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

#include "pkcs11/errors.hpp"
#include "tokend/crl_numbers.hpp"

namespace avseal::tokend {

namespace {

// Replies are handed over in groups while calls are short, for each hand-over wakes the other thread.
constexpr std::size_t group = 8;
constexpr std::chrono::microseconds short_call{200};

std::uint32_t microseconds(std::chrono::nanoseconds time) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

SessionPool::SessionPool(const Hsm& hsm, Watchdog& watchdog, std::function<void()> wake,
                         std::function<void(const Error&)> lost)
    : hsm_(hsm), watchdog_(watchdog), wake_(std::move(wake)), lost_(std::move(lost)), sequences_(hsm.keys().size()) {}

SessionPool::~SessionPool() {
  {
    const std::lock_guard lock(queue_mutex_);
    stop_ = true;
    queue_.clear();
  }
  queue_changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<void> SessionPool::start(unsigned threads) {
  std::vector<HsmSession> sessions;
  for (unsigned i = 0; i < threads; ++i) {
    const Watchdog::Call call(watchdog_, 0);
    AVSEAL_TRY(HsmSession session, HsmSession::open(hsm_));
    sessions.push_back(std::move(session));
  }
  for (std::size_t key = 0; key < hsm_.keys().size(); ++key) {
    const Watchdog::Call call(watchdog_, 0);
    AVSEAL_CHECK(sessions.front().probe(key));
  }
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i, session = std::move(sessions[i])]() mutable { run(i, std::move(session)); });
  }
  return {};
}

void SessionPool::submit(Job job) {
  {
    const std::lock_guard lock(queue_mutex_);
    queue_.push_back(std::move(job));
  }
  queue_changed_.notify_one();
}

void SessionPool::take(std::vector<Done>& into) {
  const std::lock_guard lock(done_mutex_);
  std::move(done_.begin(), done_.end(), std::back_inserter(into));
  done_.clear();
}

void SessionPool::publish(std::vector<Done>& done) {
  {
    const std::lock_guard lock(done_mutex_);
    std::move(done.begin(), done.end(), std::back_inserter(done_));
  }
  done.clear();
  wake_();
}

void SessionPool::run(std::size_t thread, HsmSession session) {
  std::vector<Done> done;
  for (;;) {
    Job job;
    bool more = false;
    {
      std::unique_lock lock(queue_mutex_);
      queue_changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      more = !queue_.empty();
    }
    const auto started = std::chrono::steady_clock::now();
    Reply reply = execute(session, thread, job);
    reply.queue_us = microseconds(started - job.submitted);
    reply.hsm_us = microseconds(std::chrono::steady_clock::now() - started);
    reply.recoveries = recoveries_.load(std::memory_order_relaxed);
    if (!reply.value) reply.ckr = static_cast<std::uint32_t>(pkcs11::ckr_of(reply.value.error()));
    done.push_back({job.connection, std::move(reply)});
    OPENSSL_cleanse(job.request.input.data(), job.request.input.size());
    const bool was_short = std::chrono::steady_clock::now() - started < short_call;
    if (!more || !was_short || done.size() >= group) publish(done);
  }
}

// Once per request, before the first attempt to sign: a second attempt with another session signs the same CRL.
Result<void> SessionPool::claim(const Job& job) const {
  if (!job.crl_number) return {};
  const Key& key = hsm_.keys()[job.key];
  auto claimed = claim_crl_number(hsm_.state_directory(), *key.public_key, *job.crl_number);
  if (!claimed) {
    const Error& error = claimed.error();
    spdlog::warn("event=refused key={} reason={} detail=\"{}\"", key.config.name, error.reason, error.detail);
  }
  return claimed;
}

Reply SessionPool::execute(HsmSession& session, std::size_t thread, const Job& job) {
  Reply reply{job.request.id, 0, Bytes{}};
  if (const auto claimed = claim(job); !claimed) {
    reply.value = claimed.error();
    return reply;
  }
  {
    const Watchdog::Call watched(watchdog_, thread);
    reply.value = call(session, job);
  }
  if (!reply.value && loses_session(reply.value.error())) {
    spdlog::warn("event=session-lost key={} error=\"{}\"", hsm_.keys()[job.key].config.name,
                 reply.value.error().detail);
    const Watchdog::Call watched(watchdog_, thread);
    auto opened = HsmSession::open(hsm_);
    if (!opened) {
      lost_(opened.error());
      return reply;
    }
    session = std::move(*opened);
    recoveries_.fetch_add(1, std::memory_order_relaxed);
    spdlog::info("event=session-reopened");
    reply.value = call(session, job);
    if (!reply.value && loses_session(reply.value.error())) lost_(reply.value.error());
  }
  if (reply.value && job.request.operation == FrameType::sign) {
    reply.sequence = sequences_[job.key].fetch_add(1, std::memory_order_relaxed) + 1;
  }
  return reply;
}

Result<Bytes> SessionPool::call(HsmSession& session, const Job& job) {
  switch (job.request.operation) {
    case FrameType::sign:
      return session.sign(job.key, job.request.input);
    case FrameType::wrap:
      return session.wrap(job.key, job.request.input, job.request.aad);
    case FrameType::unwrap:
      return session.unwrap(job.key, job.request.input, job.request.aad);
    default:
      AVSEAL_CHECK(session.probe(job.key));
      return Bytes{};
  }
}

}  // namespace avseal::tokend
