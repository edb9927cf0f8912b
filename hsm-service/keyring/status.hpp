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

struct WorkerStatus {
  std::string socket;
  std::string instance;  // of the process; empty before the first connection
  bool connected = false;
  std::size_t in_flight = 0;
  std::string problem;  // why it is not connected, or what went wrong last
};

// Of one token, as one io thread sees it.
struct TokenStatus {
  std::string name;
  bool connected = false;  // at least one worker is
  bool drained = false;
  std::size_t in_flight = 0;
  std::string last_error;  // empty: none so far
  std::vector<WorkerStatus> workers;
};

}  // namespace avseal::keyring
