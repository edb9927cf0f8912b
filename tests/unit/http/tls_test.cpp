#include "http/tls.hpp"

#include <fstream>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raw_client.hpp"
#include "site.hpp"

namespace avseal::http {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using namespace avseal::http::testing;

bool served(const TestSite& site, const Identity* identity) {
  H2Client client(site.server->port(), {identity, "h2", TLS1_3_VERSION, 10});
  return client.exchange("GET", "/open").status == 200;
}

TEST(Tls, ServesWithAndWithoutAClientCertificate) {
  TestSite site;
  EXPECT_TRUE(served(site, nullptr));
  EXPECT_TRUE(served(site, &site.ims));
}

TEST(Tls, RefusesOlderVersions) {
  TestSite site;
  EXPECT_FALSE(TlsClient(site.server->port(), {nullptr, "h2", TLS1_2_VERSION, 10}).connected());
  EXPECT_TRUE(eventually([&] { return site.refusals("tls-version") == 1; }));
}

TEST(Tls, RefusesOtherProtocols) {
  TestSite site;
  EXPECT_FALSE(TlsClient(site.server->port(), {nullptr, "spdy/3", TLS1_3_VERSION, 10}).connected());
  EXPECT_TRUE(eventually([&] { return site.refusals("tls-alpn") == 1; }));
}

TEST(Tls, RefusesCertificatesThatDoNotVerify) {
  TestSite site;
  const Identity expired = site.ca.issue("expired", {"DNS:auditor.example", "clientAuth", -30});
  const Identity server_only = site.ca.issue("server-only", {"DNS:auditor.example", "serverAuth"});
  int count = 0;
  for (const Identity* identity :
       std::vector<const Identity*>{&site.foreign, &site.ue, &site.ue_and_client, &expired, &server_only}) {
    EXPECT_FALSE(served(site, identity));
    ++count;
    EXPECT_TRUE(eventually([&] { return site.refusals("client-certificate-refused") == count; })) << count;
  }
}

TEST(Tls, OfTheXrAsTakesUeCertificatesOnly) {
  TestSite site([](ServerConfig& config) { config.ue_certificates = true; });
  EXPECT_TRUE(served(site, nullptr));
  EXPECT_TRUE(served(site, &site.ue));
  EXPECT_FALSE(served(site, &site.ims));
  EXPECT_FALSE(served(site, &site.foreign));
  EXPECT_TRUE(eventually([&] { return site.refusals("client-certificate-refused") == 2; }));
}

TEST(Tls, EndsAHandshakeThatTakesTooLong) {
  TestSite site([](ServerConfig& config) { config.handshake_timeout = 50ms; });
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), site.server->port()});
  EXPECT_TRUE(eventually([&] { return site.refusals("handshake-late") == 1; }));
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
}

TEST(Tls, CountsPlainTextAsAFailedHandshake) {
  TestSite site;
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), site.server->port()});
  boost::system::error_code failed;
  boost::asio::write(socket, boost::asio::buffer(std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), failed);
  EXPECT_TRUE(eventually([&] { return site.refusals("tls-handshake") + site.refusals("tls-version") == 1; }));
}

TEST(Connections, AreLimitedInAllAndPerPeer) {
  TestSite site([](ServerConfig& config) { config.max_connections_per_peer = 2; });
  auto first = std::make_unique<TlsClient>(site.server->port(), TlsOptions{});
  const TlsClient second(site.server->port(), {});
  EXPECT_TRUE(first->connected() && second.connected());
  EXPECT_FALSE(TlsClient(site.server->port(), {}).connected());
  EXPECT_TRUE(eventually([&] { return site.refusals("too-many-connections-of-peer") == 1; }));
  first.reset();
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 1; }));
  EXPECT_TRUE(TlsClient(site.server->port(), {}).connected()) << "a place that was left is free";

  TestSite small([](ServerConfig& config) { config.max_connections = 1; });
  const TlsClient only(small.server->port(), {});
  EXPECT_FALSE(TlsClient(small.server->port(), {}).connected());
  EXPECT_TRUE(eventually([&] { return small.refusals("too-many-connections") == 1; }));
}

struct ListenTest : ::testing::Test {
  std::string refuse(const std::function<void(ServerConfig&)>& change, std::size_t threads = 1) {
    try {
      const TestSite unexpected(change, threads);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "listens";
  }
};

TEST_F(ListenTest, NamesAPortInUse) {
  TestSite site({}, 2);
  const std::uint16_t port = site.server->port();
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.port = port; }),
              HasSubstr("127.0.0.1:" + std::to_string(port) + " is in use"));
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.port = port; }, 2), HasSubstr("is in use"));
}

TEST_F(ListenTest, NamesAFileThatCannotBeUsed) {
  TempDir directory;
  const auto broken = directory.path() / "broken.pem";
  std::ofstream(broken) << "not a certificate";
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.certificate = broken; }),
              HasSubstr("the TLS certificate in " + broken.string()));
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.private_key = broken; }),
              HasSubstr("the TLS private key in " + broken.string()));
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.client_anchors = broken; }),
              HasSubstr("anchors of client certificates in " + broken.string()));
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.client_anchors = "/nonexistent"; }), HasSubstr("/nonexistent"));
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.address = "nowhere"; }),
              HasSubstr("'nowhere' is no IP address"));
}

TEST_F(ListenTest, RefusesAKeyOfAnotherCertificate) {
  const TempDir directory;
  const Ca ca(directory.path(), "ca");
  const Identity other = ca.issue("other", {});
  EXPECT_THAT(refuse([&](ServerConfig& config) { config.private_key = other.key_file; }),
              HasSubstr(other.key_file.string()));
}

}  // namespace
}  // namespace avseal::http
