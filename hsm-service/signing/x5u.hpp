#pragma once

#include <span>
#include <string>
#include <string_view>

#include <boost/asio/ip/address.hpp>

#include "tokens/result.hpp"

namespace avseal::signing {

struct X5uHost {
  bool internal = false;  // may have an address that is not public
};

// May `url` be fetched? https, a host name listed in one of the lists (with its port unless 443), no userinfo, query or
// fragment, no IP literal, at most 1 KiB. Reasons "x5u-malformed", "x5u-host-not-allowed".
Result<X5uHost> check_x5u(std::string_view url, std::span<const std::string> hosts,
                          std::span<const std::string> internal_hosts);

// Globally reachable unicast (IANA special-purpose registries, RFC 6890).
bool is_public_address(const boost::asio::ip::address& address);

}  // namespace avseal::signing
