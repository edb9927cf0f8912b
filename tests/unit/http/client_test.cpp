#include "http/client.hpp"

#include <fstream>
#include <sstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raw_client.hpp"
#include "site.hpp"

namespace avseal::http {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using namespace avseal::http::testing;
namespace asio = boost::asio;

Result<ClientResponse> fetch_url(const ClientConfig& config, const std::string& url) {
  asio::io_context context;
  auto answer = asio::co_spawn(context, fetch(config, Method::get, url), asio::use_future);
  context.run();
  return answer.get();
}

TEST(Fetch, GetsAnAnswerOverMutualTls) {
  TestSite site;
  const auto answer = site.fetch(site.client(&site.ims), Method::get, "/calls/a", {{"x-request-id", "fetch-1"}});
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->body, "a of ims-1");
  EXPECT_EQ(answer->header("x-request-id"), "fetch-1");
  ASSERT_TRUE(answer->peer);
  EXPECT_THAT(answer->peer->subject(), HasSubstr("server"));
}

TEST(Fetch, PostsABodyAndTakesStatusesAsTheyAre) {
  TestSite site;
  const auto echoed =
      site.fetch(site.client(&site.ims), Method::post, "/echo", {{"content-type", "application/json"}}, "{\"a\":1}");
  ASSERT_TRUE(echoed) << echoed.error().detail;
  EXPECT_EQ(echoed->body, "{\"a\":1}");
  EXPECT_EQ(site.fetch(site.client(), Method::get, "/nowhere")->status, 404U);
  EXPECT_EQ(site.fetch(site.client(), Method::head, "/open")->status, 200U);
  EXPECT_EQ(site.fetch(site.client(&site.ims), Method::del, "/calls/a")->status, 204U);
}

TEST(Fetch, VerifiesTheServer) {
  TestSite site;
  ClientConfig config = site.client();
  config.anchors = site.other_ca.file();
  EXPECT_EQ(site.fetch(config, Method::get, "/open").error().reason, "fetch-tls");
  config.anchors.clear();
  EXPECT_EQ(site.fetch(config, Method::get, "/open").error().reason, "fetch-tls") << "never the system's anchors";
  std::ifstream file(site.ca.file());
  std::stringstream text;
  text << file.rdbuf();
  config.anchors_pem = text.str();
  EXPECT_TRUE(site.fetch(config, Method::get, "/open"));

  TestSite named([](ServerConfig&) {});
  const std::string port = std::to_string(named.server->port());
  EXPECT_TRUE(fetch_url(named.client(), "https://localhost:" + port + "/open"));
  const auto other = fetch_url(named.client(), "https://127.0.0.2:" + port + "/open");
  ASSERT_FALSE(other) << "the certificate names another address";
}

TEST(Fetch, RefusesUrlsThatAreNotPlainHttps) {
  TestSite site;
  for (const std::string url : {"http://localhost/", "https://user@localhost/", "https://localhost/#a", "localhost", "",
                                "https:///a", "ftp://localhost/"}) {
    const auto answer = fetch_url(site.client(), url);
    ASSERT_FALSE(answer) << url;
    EXPECT_EQ(answer.error().reason, "fetch-failed");
  }
}

TEST(Fetch, ConnectsOnlyToAllowedAddresses) {
  TestSite site;
  ClientConfig config = site.client();
  std::vector<std::string> asked;
  config.address_allowed = [&](const asio::ip::address& address) {
    asked.push_back(address.to_string());
    return false;
  };
  const auto answer = site.fetch(config, Method::get, "/open");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, "fetch-refused-address");
  EXPECT_EQ(asked, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(site.metric("avseal_http_requests_total"), 0);
  config.address_allowed = [](const asio::ip::address& address) { return address.is_loopback(); };
  EXPECT_TRUE(site.fetch(config, Method::get, "/open"));
}

TEST(Fetch, EndsInTimeWhateverTheServerDoes) {
  TestSite site;
  ClientConfig config = site.client();
  config.timeout = 100ms;
  EXPECT_EQ(site.fetch(config, Method::get, "/gate").error().reason, "fetch-timeout");
  asio::io_context context;
  asio::ip::tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
  EXPECT_EQ(
      fetch_url(config, "https://127.0.0.1:" + std::to_string(silent.local_endpoint().port()) + "/").error().reason,
      "fetch-timeout");
  const auto port = silent.local_endpoint().port();
  silent.close();
  EXPECT_EQ(fetch_url(config, "https://127.0.0.1:" + std::to_string(port) + "/").error().reason, "fetch-failed");
  site.open_gate();
}

TEST(Fetch, BoundsTheAnswer) {
  TestSite site;
  ClientConfig config = site.client();
  config.max_body = 1000;
  EXPECT_EQ(site.fetch(config, Method::get, "/download?size=1001").error().reason, "fetch-too-large");
  EXPECT_EQ(site.fetch(config, Method::get, "/download?size=1000")->body.size(), 1000U);
}

TEST(FetchTo, GivesTheBodyInPieces) {
  TestSite site;
  ClientConfig config = site.client();
  config.max_body = 1 << 20;
  std::size_t size = 0;
  std::size_t pieces = 0;
  const auto run = [&](const std::string& target, std::function<Result<void>(ByteView)> sink) {
    asio::io_context context;
    auto answer = asio::co_spawn(context, fetch_to(config, site.url(target), {}, std::move(sink)), asio::use_future);
    context.run();
    return answer.get();
  };
  const auto count = [&](ByteView bytes) -> Result<void> {
    size += bytes.size();
    ++pieces;
    return {};
  };
  const auto answer = run("/download?size=1048576", count);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_TRUE(answer->body.empty());
  EXPECT_EQ(size, 1U << 20);
  EXPECT_GT(pieces, 1U);
  EXPECT_EQ(run("/download?size=1048577", count).error().reason, "fetch-too-large");

  const auto missing = run("/nowhere", count);
  ASSERT_TRUE(missing);
  EXPECT_THAT(missing->body, HasSubstr("route-unknown")) << "an error's body is no content";

  const auto full = [](ByteView) -> Result<void> { return errors::make(Category::unavailable, "disk-full", ""); };
  EXPECT_EQ(run("/download?size=100", full).error().reason, "disk-full");
}

}  // namespace
}  // namespace avseal::http
