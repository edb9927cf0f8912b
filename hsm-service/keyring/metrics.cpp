#include "keyring/metrics.hpp"

#include "tokend/protocol.hpp"

namespace avseal::keyring {
namespace {

using Labels = std::map<std::string, std::string>;

constexpr std::array<std::string_view, 4> discard_names{"worker-lost", "late", "hsm-error", "bad-signature"};

prometheus::Counter* counter(prometheus::Registry& registry, const char* name, const char* help, const Labels& labels) {
  return &prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

prometheus::Gauge* gauge(prometheus::Registry& registry, const char* name, const char* help, const Labels& labels) {
  return &prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}

prometheus::Histogram* seconds(prometheus::Registry& registry, const char* name, const char* help,
                               const Labels& labels) {
  const prometheus::Histogram::BucketBoundaries buckets{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                        0.025,  0.05,    0.1,    0.25,  0.5,    1,     2};
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, buckets);
}

}  // namespace

KeyMetrics::KeyMetrics(prometheus::Registry& registry, const std::string& name)
    : requests(counter(registry, "avseal_hsm_requests_total", "Requests to the HSM workers by key", {{"key", name}})),
      latency(seconds(registry, "avseal_hsm_latency_seconds", "Time from request to verified answer", {{"key", name}})),
      verify(seconds(registry, "avseal_hsm_verify_seconds", "Time to verify a signature after it was made",
                     {{"key", name}})),
      waiting{},
      discards{},
      failures(&prometheus::BuildCounter()
                    .Name("avseal_hsm_failures_total")
                    .Help("Requests that failed, by key and reason")
                    .Register(registry)),
      key(name) {
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    waiting[i] = gauge(registry, "avseal_hsm_queue_length", "Requests that wait for a worker, by key and priority",
                       {{"key", name}, {"priority", i == 0 ? "live" : "batch"}});
  }
  for (std::size_t i = 0; i < discards.size(); ++i) {
    discards[i] = counter(registry, "avseal_hsm_discarded_attempts_total",
                          "Attempts that were repeated elsewhere or whose signature was thrown away, by key and reason",
                          {{"key", name}, {"reason", std::string(discard_names[i])}});
  }
}

void KeyMetrics::answered_since(std::chrono::steady_clock::time_point start) {
  latency->Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

void KeyMetrics::failed(std::string_view reason) {
  failures->Add({{"key", key}, {"reason", std::string(reason)}}).Increment();
}

TokenMetrics::TokenMetrics(prometheus::Registry& registry, const std::string& token)
    : breaker_open(gauge(registry, "avseal_hsm_breaker_open",
                         "Threads that give the token no live work while another one has the key", {{"token", token}})),
      drained(gauge(registry, "avseal_hsm_token_drained", "1: drained by an operator", {{"token", token}})),
      probes_passed(counter(registry, "avseal_hsm_probes_total", "Test signatures of broken and idle tokens",
                            {{"token", token}, {"result", "passed"}})),
      probes_failed(counter(registry, "avseal_hsm_probes_total", "Test signatures of broken and idle tokens",
                            {{"token", token}, {"result", "failed"}})) {}

AttemptMetrics::AttemptMetrics(prometheus::Registry& registry, const std::string& token_name,
                               const std::string& key_name)
    : attempts(counter(registry, "avseal_hsm_attempts_total", "Attempts by token and key",
                       {{"token", token_name}, {"key", key_name}})),
      in_flight(gauge(registry, "avseal_hsm_in_flight", "Attempts that a token's workers did not answer yet",
                      {{"token", token_name}, {"key", key_name}})),
      queue(seconds(registry, "avseal_hsm_queue_seconds", "Time that a request waited, here and in the worker",
                    {{"token", token_name}, {"key", key_name}})),
      hsm(seconds(registry, "avseal_hsm_operation_seconds", "Time in the HSM",
                  {{"token", token_name}, {"key", key_name}})),
      errors(&prometheus::BuildCounter()
                  .Name("avseal_hsm_errors_total")
                  .Help("Attempts that failed in the HSM or its worker, by PKCS#11 code")
                  .Register(registry)),
      token(token_name),
      key(key_name) {}

void AttemptMetrics::failed(std::uint32_t ckr) {
  const std::string_view code = ckr == 0 ? "none" : tokend::ckr_name(ckr);
  errors->Add({{"token", token}, {"key", key}, {"ckr", std::string(code)}}).Increment();
}

WorkerMetrics::WorkerMetrics(prometheus::Registry& registry, const std::string& token, std::size_t number)
    : connections(gauge(registry, "avseal_hsm_worker_connections",
                        "Connections to a token's worker that are in use, one per io thread",
                        {{"token", token}, {"worker", std::to_string(number)}})),
      recoveries(gauge(registry, "avseal_hsm_worker_recoveries", "Recoveries of the worker process so far",
                       {{"token", token}, {"worker", std::to_string(number)}})),
      losses(counter(registry, "avseal_hsm_worker_losses_total", "Connections to a worker that ended while in use",
                     {{"token", token}, {"worker", std::to_string(number)}})) {}

}  // namespace avseal::keyring
