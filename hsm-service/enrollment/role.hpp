#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "enrollment/rate_limiter.hpp"
#include "enrollment/requests.hpp"
#include "http/router.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "store/interfaces.hpp"

namespace avseal::enrollment {

struct Dependencies {
  keyring::Keyring& keyring;
  ledger::Ledger& ledger;
  store::EnrolmentCodes& codes;
  store::UeCertificates& ue_certificates;
  RateLimiter& limiter;
  Clock clock;
};

// UE certificates in the simple form: an operator's single-use code for one IMPU and a CSR of the UE's key become a
// certificate signed by `ue-ca`. The IMPU comes from the code alone. One instance per io thread; config and
// dependencies outlive it.
class Role {
 public:
  Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics);
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  Answer post_code(http::Request& request);
  Answer post_simple(http::Request& request);
  Answer revoke_device(http::Request& request);
  Result<http::Response> ca_certificates() const;

  // A code is spent before anything is signed, so that it never yields two certificates, and given back when none was
  // released; only a crash in between, or a store that fails, costs the user a new code.
  boost::asio::awaitable<Error> give_back(store::EnrolmentCode code, Error error);
  boost::asio::awaitable<Result<tokens::Certificate>> issue(const tokens::CertificateRequest& csr,
                                                            store::EnrolmentCode code, const http::Request& request);

  const Config& config_;
  Dependencies with_;
  prometheus::Counter& codes_issued_;
  prometheus::Counter& certificates_issued_;
  prometheus::Counter& rate_limited_;
};

}  // namespace avseal::enrollment
