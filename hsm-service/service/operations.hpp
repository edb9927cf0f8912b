#pragma once

#include "http/router.hpp"
#include "keyring/keyring.hpp"
#include "service/shared.hpp"
#include "store/store.hpp"

namespace avseal::service {

// What operators and every caller may read: /livez, /readyz, /metrics, /certs/{sha256}.pem, /.well-known/jwks.json.
class Operations {
 public:
  Operations(Shared& shared, keyring::Keyring& keyring, store::Store& store)
      : shared_(shared), keyring_(keyring), store_(store) {}
  void add_routes(http::Router& router);
  // Before other keys are taken: what was signed with today's certificates can still be verified while they are valid,
  // unless the key is retired.
  void keep_certificates(UnixSeconds now, const std::vector<std::string>& retired);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  // With ?deep=true each key really signs, on each worker.
  Answer ready(const http::Request& request) const;
  [[nodiscard]] http::Response jwks() const;
  [[nodiscard]] Result<http::Response> certificate(const std::string& file) const;

  Shared& shared_;
  keyring::Keyring& keyring_;
  store::Store& store_;
  struct Earlier {
    std::string key;
    std::vector<tokens::Certificate> chain;
  };
  std::vector<Earlier> earlier_;  // replaced certificates
};

}  // namespace avseal::service
