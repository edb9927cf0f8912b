#pragma once

#include "enrollment/archive.hpp"
#include "enrollment/dependencies.hpp"
#include "http/router.hpp"

namespace avseal::enrollment {

// What operators see of devices and do with them. Each change is a leaf with its actor before it takes effect, or a
// second one says why it did not. One instance per io thread.
class DeviceRoutes {
 public:
  DeviceRoutes(const Config& config, Dependencies& dependencies);
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  using Handle = Answer (DeviceRoutes::*)(http::Request&);
  void add(http::Router& router, http::Method method, std::string pattern, std::string event, Handle handle);

  Answer list(http::Request& request);
  Answer show(http::Request& request);
  Answer approve(http::Request& request);
  Answer revoke(http::Request& request);
  Answer revoke_certificate(http::Request& request);
  Answer revocations(http::Request& request);
  Answer revoke_all(http::Request& request);
  Answer manifests(http::Request& request);
  Answer import(http::Request& request);
  Answer evidence(http::Request& request);

  using Change = std::function<boost::asio::awaitable<Result<void>>()>;
  boost::asio::awaitable<Result<void>> logged(ledger::Event event, Change change);
  boost::asio::awaitable<Result<store::Device>> find(const std::string& id);

  const Config& config_;
  Dependencies& with_;
  Archive archive_;
};

}  // namespace avseal::enrollment
