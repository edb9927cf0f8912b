#include "signing/x5u.hpp"

#include <gtest/gtest.h>

namespace avseal {
namespace {

const std::vector<std::string> hosts{"certs.b.example", "certs.c.example:8443"};
const std::vector<std::string> internal{"certs.internal"};

std::string reason_of(std::string_view url) {
  const auto result = signing::check_x5u(url, hosts, internal);
  return result ? "" : std::string(result.error().reason);
}

TEST(X5u, ListedHostsAreAllowed) {
  for (const char* url :
       {"https://certs.b.example/certs/1.pem", "HTTPS://Certs.B.Example/1", "https://certs.b.example:443/1",
        "https://certs.c.example:8443/1", "https://certs.b.example"}) {
    EXPECT_EQ(reason_of(url), "") << url;
  }
  EXPECT_FALSE(signing::check_x5u("https://certs.b.example/1", hosts, internal)->internal);
  EXPECT_TRUE(signing::check_x5u("https://certs.internal/1", hosts, internal)->internal);
}

TEST(X5u, OthersAreNot) {
  for (const char* url : {"https://evil.example/1", "https://certs.b.example:8443/1", "https://certs.c.example/1",
                          "https://certs.b.example./1", "https://xcerts.b.example/1", "https://certs.b.example.evil/1",
                          "https://localhost/1", "https://2130706433/1", "https://certs.b.example%2e/1"}) {
    EXPECT_EQ(reason_of(url), "x5u-host-not-allowed") << url;
  }
}

TEST(X5u, FormsThatAreNeverFetched) {
  for (const char* url :
       {"http://certs.b.example/1", "ftp://certs.b.example/1", "https:/certs.b.example/1", "https:///1",
        "//certs.b.example/1", "https://user@certs.b.example/1", "https://user:pw@certs.b.example/1",
        "https://127.0.0.1/1", "https://[::1]/1", "https://[v1.x]/1", "https://certs.b.example/1?x=1",
        "https://certs.b.example/1?", "https://certs.b.example/1#x", "https://certs.b.example/1#",
        "https://certs.b.example\\@evil/1", "", "certs.b.example", "https://certs.b.example/a b"}) {
    EXPECT_EQ(reason_of(url), "x5u-malformed") << url;
  }
  EXPECT_EQ(reason_of("https://certs.b.example/" + std::string(1024, 'a')), "x5u-malformed");
}

TEST(X5u, OnlyGlobalUnicastAddressesArePublic) {
  for (const char* text :
       {"1.1.1.1", "8.8.8.8", "100.63.0.1", "172.32.0.1", "223.255.255.1", "2606:4700::1111", "2a00::1"}) {
    EXPECT_TRUE(signing::is_public_address(boost::asio::ip::make_address(text))) << text;
  }
  for (const char* text : {"0.0.0.0",
                           "10.1.2.3",
                           "100.64.0.1",
                           "127.0.0.1",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.168.1.1",
                           "198.19.0.1",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::ffff:127.0.0.1",
                           "::ffff:8.8.8.8",
                           "64:ff9b::7f00:1",
                           "fe80::1",
                           "fd00::1",
                           "ff02::1",
                           "2001:db8::1",
                           "2001::1",
                           "2002:7f00:1::",
                           "3fff::1"}) {
    EXPECT_FALSE(signing::is_public_address(boost::asio::ip::make_address(text))) << text;
  }
}

}  // namespace
}  // namespace avseal
