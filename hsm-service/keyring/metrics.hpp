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
  prometheus::Histogram* latency;  // seconds, of successful requests
  std::array<prometheus::Counter*, 4> discards;
  prometheus::Family<prometheus::Counter>* failures;
  std::string key;
};

struct WorkerMetrics {
  WorkerMetrics(prometheus::Registry& registry, const std::string& token, const std::string& socket);

  prometheus::Gauge* in_flight;
  prometheus::Gauge* connections;
  prometheus::Counter* losses;  // connections that ended while they were in use
};

}  // namespace avseal::keyring
