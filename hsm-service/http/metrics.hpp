// Counters of the HTTP server, looked up once per label.
#pragma once

#include <map>
#include <string_view>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "http/router.hpp"

namespace avseal::http {

// One per io_context: its caches are used by one thread, the counters behind them are shared.
class Metrics {
 public:
  explicit Metrics(prometheus::Registry& registry);

  // A connection or request that was refused, by its reason (a literal).
  void refused(std::string_view reason);
  // An answered request. `event` is the route's name, empty if no route was found.
  void answered(const Route* route, unsigned status, std::chrono::steady_clock::duration took);
  prometheus::Gauge& connections() { return connections_; }
  // Bytes of streamed request bodies that no handler has taken yet.
  prometheus::Gauge& buffered() { return buffered_; }

 private:
  prometheus::Family<prometheus::Counter>& refusals_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Gauge& connections_;
  prometheus::Gauge& buffered_;
  std::map<std::string_view, prometheus::Counter*> refusal_;
  std::map<std::pair<const Route*, unsigned>, prometheus::Counter*> request_;
  std::map<const Route*, prometheus::Histogram*> duration_;
};

}  // namespace avseal::http
