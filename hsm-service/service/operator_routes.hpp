#pragma once

#include "http/router.hpp"
#include "service/shared.hpp"
#include "store/store.hpp"

namespace avseal::service {

// What an operator may look at and change in a running node: /operations/v1/... Each change is a leaf with its actor
// before it takes effect.
class OperatorRoutes {
 public:
  OperatorRoutes(Shared& shared, store::OperatorStates& states) : shared_(shared), states_(states) {}
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  using Handle = Answer (OperatorRoutes::*)(http::Request&);
  void add(http::Router& router, http::Method method, std::string pattern, std::string event, Handle handle);

  Answer get_tokens(http::Request& request);
  Answer put_token(http::Request& request);
  Answer get_clock(http::Request& request);
  Answer accept_clock(http::Request& request);

  Shared& shared_;
  store::OperatorStates& states_;
};

}  // namespace avseal::service
