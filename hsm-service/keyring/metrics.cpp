#include "keyring/metrics.hpp"

namespace avseal::keyring {
namespace {

constexpr std::array<std::string_view, 4> discard_names{"worker-lost", "late", "hsm-error", "bad-signature"};

prometheus::Histogram::BucketBoundaries latency_buckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2};
}

}  // namespace

KeyMetrics::KeyMetrics(prometheus::Registry& registry, const std::string& name)
    : requests(&prometheus::BuildCounter()
                    .Name("avseal_hsm_requests_total")
                    .Help("Requests to the HSM workers by key")
                    .Register(registry)
                    .Add({{"key", name}})),
      latency(&prometheus::BuildHistogram()
                   .Name("avseal_hsm_latency_seconds")
                   .Help("Time from request to verified answer")
                   .Register(registry)
                   .Add({{"key", name}}, latency_buckets())),
      discards{},
      failures(&prometheus::BuildCounter()
                    .Name("avseal_hsm_failures_total")
                    .Help("Requests that failed, by key and reason")
                    .Register(registry)),
      key(name) {
  auto& family =
      prometheus::BuildCounter()
          .Name("avseal_hsm_discarded_attempts_total")
          .Help("Attempts that were repeated elsewhere or whose signature was thrown away, by key and reason")
          .Register(registry);
  for (std::size_t i = 0; i < discards.size(); ++i) {
    discards[i] = &family.Add({{"key", name}, {"reason", std::string(discard_names[i])}});
  }
}

void KeyMetrics::answered_since(std::chrono::steady_clock::time_point start) {
  latency->Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

void KeyMetrics::failed(std::string_view reason) {
  failures->Add({{"key", key}, {"reason", std::string(reason)}}).Increment();
}

WorkerMetrics::WorkerMetrics(prometheus::Registry& registry, const std::string& token, const std::string& socket)
    : in_flight(&prometheus::BuildGauge()
                     .Name("avseal_hsm_in_flight")
                     .Help("Requests that a worker has and did not answer yet")
                     .Register(registry)
                     .Add({{"token", token}, {"socket", socket}})),
      connections(&prometheus::BuildGauge()
                       .Name("avseal_hsm_worker_connections")
                       .Help("Connections to a worker that are in use, one per io thread")
                       .Register(registry)
                       .Add({{"token", token}, {"socket", socket}})),
      losses(&prometheus::BuildCounter()
                  .Name("avseal_hsm_worker_losses_total")
                  .Help("Connections to a worker that ended while in use")
                  .Register(registry)
                  .Add({{"token", token}, {"socket", socket}})) {}

}  // namespace avseal::keyring
