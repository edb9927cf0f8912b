// The keyring's metrics; members of the families are looked up once.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace avseal::keyring {

// Why an attempt did not give its request's answer.
enum class Discard { worker_lost, late, hsm_error, bad_signature };

struct KeyMetrics {
  KeyMetrics(prometheus::Registry& registry, const std::string& key);

  void answered_since(std::chrono::steady_clock::time_point start);
  void failed(std::string_view reason);
  void discarded(Discard why) { discards[static_cast<std::size_t>(why)]->Increment(); }

  prometheus::Counter* requests;
  prometheus::Histogram* latency;                // seconds, of successful requests
  prometheus::Histogram* verify;                 // seconds
  std::array<prometheus::Gauge*, 2> waiting;     // by Priority
  std::array<prometheus::Counter*, 4> discards;  // by Discard
  prometheus::Family<prometheus::Counter>* failures;
  std::string key;
};

struct TokenMetrics {
  TokenMetrics(prometheus::Registry& registry, const std::string& token);

  prometheus::Gauge* breaker_open;  // io threads whose breaker is not closed
  prometheus::Gauge* drained;
  prometheus::Counter* probes_passed;
  prometheus::Counter* probes_failed;
};

// Attempts with one key on one token.
struct AttemptMetrics {
  AttemptMetrics(prometheus::Registry& registry, const std::string& token, const std::string& key);

  void failed(std::uint32_t ckr);

  prometheus::Counter* attempts;
  prometheus::Gauge* in_flight;
  prometheus::Histogram* queue;  // seconds, here and in the worker
  prometheus::Histogram* hsm;    // seconds
  prometheus::Family<prometheus::Counter>* errors;
  std::string token;
  std::string key;
};

// By number, for the names of sockets change with reloads.
struct WorkerMetrics {
  WorkerMetrics(prometheus::Registry& registry, const std::string& token, std::size_t number);

  prometheus::Gauge* connections;
  prometheus::Gauge* recoveries;
  prometheus::Counter* losses;  // connections that ended while they were in use
};

}  // namespace avseal::keyring
