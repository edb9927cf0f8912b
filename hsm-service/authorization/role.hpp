#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "authorization/grant.hpp"
#include "http/router.hpp"

namespace avseal::authorization {

// Access tokens for XR ASs: the NRF form (TS 29.510) and the CAPIF form (TS 29.222). One instance per io thread.
class Role {
 public:
  Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics);
  void add_routes(http::Router& router);
  // Another configuration from now on; on the io thread. A grant at work takes each member as it is when it needs it.
  void use(Config config) { config_ = std::move(config); }

 private:
  boost::asio::awaitable<Result<http::Response>> answer(TokenRequest request, const http::Request& http,
                                                        bool with_scope);

  Config config_;
  Granter granter_;
  prometheus::Counter& granted_;
};

}  // namespace avseal::authorization
