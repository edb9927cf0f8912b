#include "service/certificate_metrics.hpp"

namespace avseal::service {

CertificateMetrics::CertificateMetrics(prometheus::Registry& metrics)
    : family_(prometheus::BuildGauge()
                  .Name("avseal_certificate_not_after_seconds")
                  .Help("Unix time at which the certificate of a key expires")
                  .Register(metrics)) {}

void CertificateMetrics::show(const keyring::Keys& keys) {
  for (const auto& [name, gauge] : gauges_) family_.Remove(gauge);
  gauges_.clear();
  for (const auto& key : keys.all()) {
    if (key.chain.empty()) continue;
    auto& gauge = family_.Add({{"key", key.name}});
    gauge.Set(static_cast<double>(key.certificate().not_after()));
    gauges_.emplace(key.name, &gauge);
  }
}

}  // namespace avseal::service
