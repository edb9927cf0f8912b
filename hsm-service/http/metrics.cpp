#include "http/metrics.hpp"

namespace avseal::http {

Metrics::Metrics(prometheus::Registry& registry)
    : refusals_(prometheus::BuildCounter()
                    .Name("avseal_http_refusals_total")
                    .Help("Connections and requests that were refused, by reason")
                    .Register(registry)),
      requests_(prometheus::BuildCounter()
                    .Name("avseal_http_requests_total")
                    .Help("Answered requests by route and status")
                    .Register(registry)),
      seconds_(prometheus::BuildHistogram()
                   .Name("avseal_http_request_seconds")
                   .Help("Time from a request's first byte to its answer")
                   .Register(registry)),
      connections_(prometheus::BuildGauge()
                       .Name("avseal_http_connections")
                       .Help("Open connections, in handshake or established")
                       .Register(registry)
                       .Add({})),
      buffered_(prometheus::BuildGauge()
                    .Name("avseal_http_buffered_body_bytes")
                    .Help("Bytes of streamed request bodies waiting for their handler")
                    .Register(registry)
                    .Add({})) {}

void Metrics::refused(std::string_view reason) {
  prometheus::Counter*& counter = refusal_[reason];
  if (!counter) counter = &refusals_.Add({{"reason", std::string(reason)}});
  counter->Increment();
}

void Metrics::answered(const Route* route, unsigned status, std::chrono::steady_clock::duration took) {
  const std::string event = route ? route->event : std::string();
  prometheus::Counter*& counter = request_[{route, status}];
  if (!counter) counter = &requests_.Add({{"route", event}, {"status", std::to_string(status)}});
  counter->Increment();
  prometheus::Histogram*& histogram = duration_[route];
  if (!histogram) {
    histogram =
        &seconds_.Add({{"route", event}}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.002, 0.005, 0.01,
                                                                                  0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5});
  }
  histogram->Observe(std::chrono::duration<double>(took).count());
}

}  // namespace avseal::http
