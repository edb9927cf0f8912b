#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/interfaces.hpp"

namespace avseal::enrollment {

// The CRL of the UE CA that is served.
struct PublishedCrl {
  std::string der;
  std::string issuer;  // hex SHA-256 of its certificate
  std::string listed;  // digest of what it lists
  UnixSeconds this_update = 0;
};

// Shared by the io threads.
class CurrentCrl {
 public:
  [[nodiscard]] std::shared_ptr<const PublishedCrl> get() const;
  void put(PublishedCrl crl);
  void changed() { changed_ = true; }  // something was revoked
  bool take_changed() { return changed_.exchange(false); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const PublishedCrl> crl_;
  std::atomic<bool> changed_{false};
};

struct CrlDependencies {
  keyring::Keyring& keyring;
  ledger::Ledger& ledger;
  store::UeCertificates& certificates;
  store::DocumentVersions& versions;
  Clock clock;
};

// Has a new CRL signed if another list is due: other certificates, another UE CA, or the half of its life is over.
// Reasons of tokens/crl.hpp, keyring, ledger and store.
boost::asio::awaitable<Result<void>> refresh_crl(CrlDependencies with, CurrentCrl& current);

// Looks for what is due every second if something changed, else every 20 seconds, for as long as its io thread runs.
boost::asio::awaitable<void> publish_crls(CrlDependencies with, CurrentCrl& current, prometheus::Registry& metrics);

}  // namespace avseal::enrollment
