#pragma once

#include <map>
#include <string>

#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "keyring/keys.hpp"

namespace avseal::service {

// Until when the certificate of each key is valid. Not thread-safe.
class CertificateMetrics {
 public:
  explicit CertificateMetrics(prometheus::Registry& metrics);
  void show(const keyring::Keys& keys);  // these, and no others

 private:
  prometheus::Family<prometheus::Gauge>& family_;
  std::map<std::string, prometheus::Gauge*> gauges_;  // by key
};

}  // namespace avseal::service
