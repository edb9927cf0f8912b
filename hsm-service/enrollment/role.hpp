#pragma once

#include <optional>

#include "enrollment/attested.hpp"
#include "enrollment/device_routes.hpp"
#include "enrollment/requests.hpp"

namespace avseal::enrollment {

// Operators' single-use codes for one IMPU, the simple form that takes one without any proof of the key's TPM, the UE
// CA's certificates and CRL; and beside these attested enrolment and what operators do with devices. The IMPU comes
// from the operator alone. One instance per io thread; config outlives it, as what the dependencies refer to.
class Role {
 public:
  Role(const Config& config, Dependencies dependencies, prometheus::Registry& metrics);
  Role(const Role&) = delete;
  void add_routes(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  Answer post_code(http::Request& request);
  Answer post_simple(http::Request& request);
  Result<http::Response> ca_certificates() const;
  [[nodiscard]] Result<http::Response> crl() const;

  // A code that was invited for the simple form.
  boost::asio::awaitable<Result<store::EnrolmentCode>> spend_simple(std::string_view code);

  const Config& config_;
  Dependencies with_;
  Issuer issuer_;
  DeviceRoutes devices_;
  std::optional<Attested> attested_;
  prometheus::Counter& codes_issued_;
  prometheus::Counter& rate_limited_;
};

}  // namespace avseal::enrollment
