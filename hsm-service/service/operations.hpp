#pragma once

#include <atomic>
#include <memory>

#include <prometheus/registry.h>

#include "http/router.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/store.hpp"

namespace avseal::service {

// What operators and every caller may read: /livez, /readyz, /metrics, /certs/{sha256}.pem, /.well-known/jwks.json.
class Operations {
 public:
  Operations(std::shared_ptr<const keyring::Keys> keys, keyring::Keyring& keyring, ledger::Ledger& ledger,
             store::Store& store, std::shared_ptr<prometheus::Registry> metrics, const std::atomic<bool>& draining);
  void add_routes(http::Router& router);

 private:
  [[nodiscard]] http::Response ready() const;
  [[nodiscard]] Result<http::Response> certificate(const std::string& file) const;

  std::shared_ptr<const keyring::Keys> keys_;
  keyring::Keyring& keyring_;
  ledger::Ledger& ledger_;
  store::Store& store_;
  std::shared_ptr<prometheus::Registry> metrics_;
  const std::atomic<bool>& draining_;
};

}  // namespace avseal::service
