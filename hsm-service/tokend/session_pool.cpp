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

constexpr std::chrono::seconds spare_period{10};  // between two questions of a spare thread for a session

std::uint32_t microseconds(std::chrono::nanoseconds time) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, std::numeric_limits<std::uint32_t>::max()));
}

// 80 to 120 percent of the period, so that sessions do not all ask at once.
std::chrono::milliseconds jittered(std::chrono::milliseconds period, std::minstd_rand& random) {
  return period * std::uniform_int_distribution<int>(80, 120)(random) / 100;
}

}  // namespace

SessionPool::SessionPool(Hsm& hsm, Watchdog& watchdog, std::function<void()> wake,
                         std::function<void(const Error&)> leave)
    : hsm_(hsm),
      watchdog_(watchdog),
      wake_(std::move(wake)),
      recovery_(hsm, watchdog, std::move(leave)),
      sequences_(hsm.keys().size()) {}

SessionPool::~SessionPool() {
  {
    const std::lock_guard lock(queue_mutex_);
    stop_ = true;
    queue_.clear();
  }
  queue_changed_.notify_all();
  stopped_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<void> SessionPool::start() {
  const unsigned wanted = hsm_.wanted_sessions();
  for (unsigned i = 0; i < wanted; ++i) {
    session_threads_.emplace_back(hsm_, recovery_, watchdog_, i, open_sessions_);
  }
  for (SessionThread& thread : session_threads_) {
    const auto opened = thread.open();
    if (opened) continue;
    if (open_sessions_ == 0) return opened.error();
    spdlog::warn("event=session-limit wanted={} open={} detail=\"{}\"", wanted, sessions(), opened.error().detail);
    break;
  }
  for (SessionThread& thread : session_threads_) {
    threads_.emplace_back([this, &thread] { run(thread); });
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
  if (done.empty()) return;
  {
    const std::lock_guard lock(done_mutex_);
    std::move(done.begin(), done.end(), std::back_inserter(done_));
  }
  done.clear();
  wake_();
}

bool SessionPool::wait_for_job(std::optional<Job>& job, bool& more, Clock::time_point until, std::vector<Done>& done) {
  std::unique_lock lock(queue_mutex_);
  // Others may have taken the jobs that replies were kept back for.
  if (queue_.empty() && !done.empty()) {
    lock.unlock();
    publish(done);
    lock.lock();
  }
  queue_changed_.wait_until(lock, until, [this] { return stop_ || !queue_.empty(); });
  if (stop_) return false;
  if (queue_.empty()) return true;
  job = std::move(queue_.front());
  queue_.pop_front();
  more = !queue_.empty();
  return true;
}

bool SessionPool::wait_as_spare(SessionThread& thread, Clock::time_point until) {
  std::unique_lock lock(queue_mutex_);
  if (stopped_.wait_until(lock, until, [this] { return stop_; })) return false;
  lock.unlock();
  if (thread.open()) spdlog::info("event=session-added open={}", sessions());
  return true;
}

void SessionPool::run(SessionThread& thread) {
  const std::chrono::milliseconds keepalive = hsm_.config().quirks.keepalive;
  std::minstd_rand random(static_cast<std::uint32_t>(Clock::now().time_since_epoch().count()) + 1U +
                          static_cast<std::uint32_t>(thread.index()));
  std::vector<Done> done;
  for (;;) {
    if (!thread.has_session() && sessions() > 0) {
      if (!wait_as_spare(thread, Clock::now() + jittered(spare_period, random))) return;
      continue;
    }
    std::optional<Job> job;
    bool more = false;
    const auto idle = keepalive.count() == 0 ? std::chrono::hours(24) : jittered(keepalive, random);
    if (!wait_for_job(job, more, Clock::now() + idle, done)) return;
    if (!job) {
      if (keepalive.count() != 0) thread.keep_alive();
      continue;
    }
    const auto started = Clock::now();
    done.push_back({job->connection, execute(thread, *job)});
    OPENSSL_cleanse(job->request.input.data(), job->request.input.size());
    if (!more || Clock::now() - started >= short_call || done.size() >= group || !thread.has_session()) publish(done);
  }
}

// Once per request, before the first attempt to sign: a second attempt with another session signs the same CRL.
Result<void> SessionPool::claim(const Job& job) const {
  if (!job.crl_number) return {};
  const Key& key = hsm_.keys()[job.key];
  auto claimed = claim_crl_number(hsm_.config().state_directory, *key.public_key, *job.crl_number);
  if (!claimed) {
    const Error& error = claimed.error();
    spdlog::warn("event=refused key={} reason={} detail=\"{}\"", key.config.name, error.reason, error.detail);
  }
  return claimed;
}

Reply SessionPool::execute(SessionThread& thread, const Job& job) {
  const auto started = Clock::now();
  const auto claimed = claim(job);
  Reply reply{job.request.id, 0, claimed ? thread.execute(job) : claimed.error()};
  reply.queue_us = microseconds(started - job.submitted);
  reply.hsm_us = microseconds(Clock::now() - started);
  reply.recoveries = recovery_.count();
  if (!reply.value) {
    reply.ckr = static_cast<std::uint32_t>(pkcs11::ckr_of(reply.value.error()));
  } else if (job.request.operation == FrameType::sign) {
    reply.sequence = sequences_[job.key].fetch_add(1, std::memory_order_relaxed) + 1;
  }
  return reply;
}

}  // namespace avseal::tokend
