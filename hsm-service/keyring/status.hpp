// What a keyring tells of its keys and tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "keyring/keys.hpp"

namespace avseal::keyring {

struct KeyStatus {
  std::string name;
  KeyKind kind;
  bool can_sign = false;  // a connected worker of a token that is not drained has it with the certificate's public key
  std::string why_not;
};

// Whether a token gets live work: closed, it does; open, only if no other token has the key; half-open, a probe
// decides.
enum class BreakerState { closed, open, half_open };
std::string_view to_string(BreakerState state);  // "closed", "open", "half-open"

struct WorkerStatus {
  std::string socket;
  std::string instance;  // of the process; empty before the first connection
  bool connected = false;
  std::size_t in_flight = 0;
  std::uint32_t recoveries = 0;  // of this process, as it said last
  std::string problem;           // why it is not connected
};

// Of one token, as one io thread sees it. What the token says of itself is empty before the first connection.
struct TokenStatus {
  std::string name;
  std::string label;
  std::string serial;
  std::string manufacturer;
  std::string model;
  std::string firmware;
  bool connected = false;  // at least one worker is
  BreakerState breaker = BreakerState::closed;
  bool drained = false;
  std::size_t in_flight = 0;
  std::string last_error;  // empty: none so far
  std::vector<WorkerStatus> workers;
};

}  // namespace avseal::keyring
