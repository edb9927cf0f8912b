#include "signing/x5u.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace avseal::signing {
namespace {

namespace ip = boost::asio::ip;
namespace urls = boost::urls;

constexpr std::size_t max_url_size = 1024;

Error malformed(std::string detail) {
  return errors::make(Category::invalid, "x5u-malformed", std::move(detail));
}

bool listed(std::span<const std::string> hosts, std::string_view authority) {
  return std::find(hosts.begin(), hosts.end(), authority) != hosts.end();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

struct V4Block {
  std::array<unsigned char, 4> prefix;
  unsigned short bits;
};

constexpr V4Block special_v4[] = {
    {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},     {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8},
    {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12},  {{192, 0, 0, 0}, 24},  {{192, 0, 2, 0}, 24},
    {{192, 88, 99, 0}, 24}, {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15}, {{198, 51, 100, 0}, 24},
    {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 4},    {{240, 0, 0, 0}, 4},
};

bool within(const ip::address_v4& address, const V4Block& block) {
  const ip::network_v4 network(ip::address_v4(block.prefix), block.bits);
  return ip::network_v4(address, block.bits).canonical() == network;
}

bool within(const ip::address_v6& address, const char* prefix, unsigned short bits) {
  const ip::network_v6 network(ip::make_address_v6(prefix), bits);
  return ip::network_v6(address, bits).canonical() == network;
}

}  // namespace

Result<X5uHost> check_x5u(std::string_view url, std::span<const std::string> hosts,
                          std::span<const std::string> internal_hosts) {
  if (url.size() > max_url_size) return malformed("expected an x5u of at most 1024 characters");
  const auto parsed = urls::parse_absolute_uri(url);
  if (!parsed) return malformed("expected an absolute https URL");
  if (parsed->scheme_id() != urls::scheme::https) return malformed("expected the scheme https");
  if (!parsed->has_authority() || parsed->has_userinfo()) return malformed("expected a host without userinfo");
  if (parsed->host_type() != urls::host_type::name || parsed->encoded_host().empty()) {
    return malformed("expected a host name, found an IP literal or none");
  }
  if (parsed->has_query() || url.find_first_of("?#\\") != std::string_view::npos) {
    return malformed("expected no query and no fragment");
  }
  std::string authority = lower(std::string_view(parsed->encoded_host()));
  if (parsed->has_port() && parsed->port() != "443") authority.append(":").append(std::string_view(parsed->port()));
  if (listed(internal_hosts, authority)) return X5uHost{true};
  if (listed(hosts, authority)) return X5uHost{false};
  return errors::make(Category::invalid, "x5u-host-not-allowed",
                      "expected one of the configured certificate hosts, found " + authority);
}

bool is_public_address(const ip::address& address) {
  if (address.is_v4()) {
    const auto v4 = address.to_v4();
    return std::none_of(std::begin(special_v4), std::end(special_v4),
                        [&](const V4Block& block) { return within(v4, block); });
  }
  const auto v6 = address.to_v6();
  return within(v6, "2000::", 3) && !within(v6, "2001::", 23) && !within(v6, "2001:db8::", 32) &&
         !within(v6, "2002::", 16) && !within(v6, "3fff::", 20);
}

}  // namespace avseal::signing
