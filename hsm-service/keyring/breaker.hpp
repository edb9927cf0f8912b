// Whether a token gets live work, from what became of its attempts and probes.
#pragma once

#include "keyring/request.hpp"
#include "keyring/status.hpp"

namespace avseal::keyring {

// Closed: it does. Open: it does not while another token has the key; a probe is due at probe_at(). Half-open: the
// probe is under way.
class Breaker {
 public:
  [[nodiscard]] BreakerState state() const { return state_; }
  [[nodiscard]] bool closed() const { return state_ == BreakerState::closed; }
  [[nodiscard]] Instant probe_at() const { return probe_at_; }

  // An attempt failed, was late, or gave a signature that does not verify. True if this opened it.
  bool attempt_failed(Instant now);
  // Nothing can be sent to the token. True if this opened it.
  bool trip(Instant now);
  // Its answer was good. True if this closed it.
  bool succeeded();

  void probing() { state_ = BreakerState::half_open; }
  // The pause before the next one doubles. True if this opened it.
  bool probe_failed(Instant now);
  void probe_soon(Instant now) { probe_at_ = now; }

 private:
  BreakerState state_ = BreakerState::closed;
  unsigned failures_ = 0;  // in a row
  std::chrono::milliseconds pause_{0};
  Instant probe_at_;
};

}  // namespace avseal::keyring
