#include "tokend/recovery.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "pkcs11/errors.hpp"

namespace avseal::tokend {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_recoveries = 32;  // in the period; more are a storm
constexpr std::chrono::seconds storm_period{60};

constexpr std::uint32_t many_failures = 16;
constexpr std::chrono::seconds long_failure{2};

}  // namespace

Recovery::Recovery(Hsm& hsm, Watchdog& watchdog, std::function<void(const Error&)> leave)
    : hsm_(hsm), watchdog_(watchdog), leave_(std::move(leave)) {}

Result<HsmSession> Recovery::open(std::size_t thread) {
  const Watchdog::Call watched(watchdog_, thread);
  return HsmSession::open(hsm_);
}

Result<HsmSession> Recovery::renew(std::size_t thread, std::optional<HsmSession> lost) {
  const std::uint64_t seen = hsm_.generation();
  auto fresh = open(thread);
  if (!fresh && lost && pkcs11::is_session_limit(fresh.error())) {
    lost.reset();
    fresh = open(thread);
  }
  if (fresh || pkcs11::is_session_limit(fresh.error())) return fresh;
  log_.warn("login-lost",
            fmt::format("event=login-lost ckr={} reason={} detail=\"{}\"",
                        pkcs11::ckr_name(pkcs11::ckr_of(fresh.error())), fresh.error().reason, fresh.error().detail));
  lost.reset();
  recover(thread, seen);
  fresh = open(thread);
  if (!fresh && !pkcs11::is_session_limit(fresh.error())) leave_(fresh.error());
  return fresh;
}

void Recovery::recover(std::size_t thread, std::uint64_t seen) {
  const std::lock_guard lock(owner_);
  if (hsm_.generation() != seen) return;  // another thread did
  bound_storm();
  const auto begin = Clock::now();
  Watchdog::Call watched(watchdog_, thread);
  const auto reopened = hsm_.reopen(watched);
  if (!reopened) leave_(reopened.error());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  spdlog::warn("event=login-recovered recoveries={} ms={}", count_.fetch_add(1, std::memory_order_relaxed) + 1,
               took.count());
}

void Recovery::bound_storm() {
  const auto now = Clock::now();
  while (!recoveries_.empty() && now - recoveries_.front() > storm_period) recoveries_.pop_front();
  recoveries_.push_back(now);
  if (recoveries_.size() <= most_recoveries) return;
  leave_(
      errors::make(Category::unavailable, "recovery-storm",
                   fmt::format("the login was lost {} times within {} s; a fresh process initialises the module anew",
                               recoveries_.size(), storm_period.count())));
}

void Recovery::failed(const Error& error) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const std::uint32_t failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (failures == 1) failing_since_ = now;
  if (failures < many_failures || now - failing_since_ < long_failure) return;
  leave_(errors::make(Category::unavailable, "hsm-failing",
                      fmt::format("the HSM failed {} calls in a row; a fresh process initialises the module anew; the "
                                  "last was: {}",
                                  failures, error.detail)));
}

void Recovery::succeeded() {
  if (failures_.load(std::memory_order_relaxed) != 0) failures_.store(0, std::memory_order_relaxed);
}

}  // namespace avseal::tokend
