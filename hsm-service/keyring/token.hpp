// A token as one io thread sees it: what its workers have in common.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include "keyring/breaker.hpp"
#include "keyring/metrics.hpp"
#include "tokend/protocol.hpp"

namespace avseal::keyring {

struct PoolToken {
  std::string name;
  bool drained = false;
  boost::asio::steady_timer probe_timer;
  TokenMetrics metrics;
  std::vector<AttemptMetrics> keys;  // by index in the pool

  std::vector<std::size_t> workers = {};
  tokend::TokenInfo info = {};
  std::string last_error = {};
  Breaker breaker = {};
  Instant last_used = {};
  std::chrono::milliseconds idle_limit{0};  // after that long without a request it is probed
  std::size_t probe_key = 0;                // the one that failed last, or whose turn it is
};

}  // namespace avseal::keyring
