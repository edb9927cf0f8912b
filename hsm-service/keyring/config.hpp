// What a keyring is told: tokens, keys, limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "keyring/keys.hpp"

namespace avseal::keyring {

struct TokenConfig {
  std::string name;                            // "hsm-a"
  std::vector<std::filesystem::path> sockets;  // of running workers
  bool drained = false;                        // by an operator, as set_drained() does it
};

// A worker's connection ended while it was in use. What it had in flight was sent elsewhere; signatures that it made
// and could not deliver are the only permitted gap in its sequences.
struct WorkerLoss {
  std::string token;
  std::string socket;
  std::string instance;
  std::size_t in_flight = 0;
  std::vector<std::pair<std::string, std::uint64_t>> last_sequences;  // by key, as far as this thread knows
  std::string reason;
};

// What a worker that has signed before says when it is connected to: how far it has counted, whoever asked for it.
struct WorkerCounts {
  std::string token;
  std::string instance;
  std::vector<std::pair<std::string, std::uint64_t>> last_sequences;  // by key, none of them 0
};

// A thread's breaker of a token: open, the token gets no live work while another one has the key; closed, it does.
struct BreakerChange {
  std::string token;
  bool open = false;
  std::string why;  // of an open one
};

struct KeyringConfig {
  std::vector<TokenConfig> tokens;
  std::vector<KeyConfig> keys;
  std::chrono::milliseconds attempt_limit{250};
  unsigned verify_after_sign = 1;                // verify one in N signatures; 1: always
  std::size_t window = 32;                       // outstanding requests per worker connection
  std::size_t max_queue = 2048;                  // waiting requests per key and thread; then "hsm-busy" at once
  std::chrono::milliseconds start_limit{10000};  // open() and prepare() give up then
  std::chrono::milliseconds idle_probe{30000};   // about that long without a request: the token is probed
  // These four on the keyring's executor; they must not wait. on_worker_lost also for a connection that is closed with
  // requests in flight.
  std::function<void(const WorkerCounts&)> on_worker_connected;
  std::function<void(const WorkerLoss&)> on_worker_lost;
  std::function<void()> on_late_use;  // Keyring::has_late_uses()
  std::function<void(const BreakerChange&)> on_breaker;
  std::function<Result<void>()> may_sign;  // asked before each signature, not for checkpoints; its error is the answer
};

}  // namespace avseal::keyring
