#pragma once

#include <deque>

#include "tokend/event_log.hpp"
#include "tokend/hsm_session.hpp"

namespace avseal::tokend {

// What the session threads know together about the token's health. One of them mends the login while the others wait;
// when that does not help, the process leaves, for a fresh one initialises the module anew.
class Recovery {
 public:
  // leave does not return.
  Recovery(Hsm& hsm, Watchdog& watchdog, std::function<void(const Error&)> leave);

  // Another session for one that is lost, or for none: opened beside it if the login stands, else after the login was
  // recovered. `lost` is closed. An error means that the token has no session to spare; any other failure leaves, and
  // so do recoveries that follow each other too closely.
  Result<HsmSession> renew(std::size_t thread, std::optional<HsmSession> lost);

  // A call that the HSM failed, and one that it did not. Many of the former in a row, for seconds, leave.
  void failed(const Error& error);
  void succeeded();

  void leave(const Error& error) const { leave_(error); }
  [[nodiscard]] std::uint32_t count() const { return count_.load(std::memory_order_relaxed); }  // of mended logins
  [[nodiscard]] EventLog& log() { return log_; }

 private:
  Result<HsmSession> open(std::size_t thread);
  void recover(std::size_t thread, std::uint64_t seen);
  void bound_storm();

  Hsm& hsm_;
  Watchdog& watchdog_;
  const std::function<void(const Error&)> leave_;
  EventLog log_;
  std::atomic<std::uint32_t> count_{0};

  std::mutex owner_;  // who has it recovers
  std::deque<std::chrono::steady_clock::time_point> recoveries_;

  std::mutex mutex_;
  std::atomic<std::uint32_t> failures_{0};  // in a row
  std::chrono::steady_clock::time_point failing_since_;
};

}  // namespace avseal::tokend
