#include "tokend/watchdog.hpp"

#include <csignal>

namespace avseal::tokend {

namespace {

std::int64_t now() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace

Watchdog::Watchdog(std::chrono::milliseconds limit, std::size_t threads, std::function<void(std::size_t)> on_expired)
    : limit_(limit), on_expired_(std::move(on_expired)), started_(threads), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_one();
  thread_.join();
}

void Watchdog::run() {
  sigset_t all{};
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are for the main thread
  const auto period = limit_ / 8;
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, period, [this] { return stop_; })) {
    const std::int64_t oldest = now() - std::chrono::nanoseconds(limit_).count();
    for (std::size_t i = 0; i < started_.size(); ++i) {
      const std::int64_t started = started_[i].load(std::memory_order_relaxed);
      if (started != 0 && started < oldest) on_expired_(i);
    }
  }
}

Watchdog::Call::Call(Watchdog& watchdog, std::size_t thread) : started_(watchdog.started_[thread]) {
  next();
}

Watchdog::Call::~Call() {
  pause();
}

void Watchdog::Call::next() {
  started_.store(now(), std::memory_order_relaxed);
}

void Watchdog::Call::pause() {
  started_.store(0, std::memory_order_relaxed);
}

}  // namespace avseal::tokend
