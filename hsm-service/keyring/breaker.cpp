#include "keyring/breaker.hpp"

#include <algorithm>

namespace avseal::keyring {
namespace {

constexpr unsigned failures_to_open = 3;
constexpr std::chrono::milliseconds first_pause{10};
constexpr std::chrono::milliseconds longest_pause{250};

}  // namespace

std::string_view to_string(BreakerState state) {
  switch (state) {
    case BreakerState::closed:
      return "closed";
    case BreakerState::open:
      return "open";
    case BreakerState::half_open:
      return "half-open";
  }
  return "unknown";
}

bool Breaker::attempt_failed(Instant now) {
  return closed() && ++failures_ >= failures_to_open && trip(now);
}

bool Breaker::trip(Instant now) {
  if (!closed()) return false;
  state_ = BreakerState::open;
  pause_ = first_pause;
  probe_at_ = now + pause_;
  return true;
}

bool Breaker::succeeded() {
  failures_ = 0;
  return std::exchange(state_, BreakerState::closed) != BreakerState::closed;
}

bool Breaker::probe_failed(Instant now) {
  if (closed()) return trip(now);
  state_ = BreakerState::open;
  pause_ = std::min(pause_ * 2, longest_pause);
  probe_at_ = now + pause_;
  return false;
}

}  // namespace avseal::keyring
