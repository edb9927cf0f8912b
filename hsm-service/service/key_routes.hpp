#pragma once

#include "http/router.hpp"
#include "service/key_changes.hpp"

namespace avseal::service {

// Of one io thread: GET /operations/v1/keys, PUT /operations/v1/keys/{name}; POST /operations/v1/acts and
// PUT /operations/v1/acts/{id}, which record acts that happen at a terminal. What it works with outlives it.
class KeyRoutes {
 public:
  KeyRoutes(KeyChanges& changes, keyring::Keyring& keyring, ledger::Ledger& ledger)
      : changes_(changes), keyring_(keyring), ledger_(ledger) {}
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  Answer list();
  Answer put_key(http::Request& request);
  Answer begin_act(http::Request& request);
  Answer end_act(http::Request& request);
  boost::asio::awaitable<Result<void>> append(const http::Request& request, ledger::Event event,
                                              ledger::Outcome outcome, std::string_view reason = {});

  KeyChanges& changes_;
  keyring::Keyring& keyring_;
  ledger::Ledger& ledger_;
};

}  // namespace avseal::service
