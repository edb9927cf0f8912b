// Certificate fetcher and HTTP subscription source against real TLS servers on the loopback interface.
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "http/server.hpp"
#include "signing/certificate_fetcher.hpp"
#include "signing/subscription_source.hpp"
#include "site.hpp"

namespace avseal {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> ignore() {
  co_return;
}

// An HTTPS server for localhost that answers every path under /x/ and /subs/ as told.
class FarEnd : public testing::Test {
 protected:
  FarEnd() : router_(clients_, [](const http::Request&, const http::Route*, const Error&) { return ignore(); }) {
    const auto key = test::make_key();
    const auto now = to_unix(system_clock_now());
    authority = test::Authority::create("tls", now);
    test::Subject subject{"localhost",
                          {"DNS:localhost"},
                          {"keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth"},
                          now - 3600,
                          now + 3600};
    certificate = dir.write("tls.pem", authority->issue(subject, key).pem());
    private_key = dir.write("tls.key", test::key_pem(key));
    anchors = dir.write("ca.pem", authority->certificate.pem());
    for (const char* pattern : {"/x/{name}", "/subs/{name}"}) {
      http::Route route;
      route.pattern = pattern;
      route.handler = [this](http::Request& request) { return answer(request.parameters.at("name"), request); };
      router_.add(std::move(route));
    }
    http::ServerConfig config;
    config.certificate = certificate;
    config.private_key = private_key;
    config.client_anchors = anchors;
    server_ = http::Server::listen(config, {&context}, {&router_}, metrics).value();
  }

  asio::awaitable<Result<http::Response>> answer(std::string name, const http::Request& request) {
    ++requests;
    asked = name;
    with_certificate = request.peer.has_value();
    if (delay > 0ms) {
      asio::steady_timer timer(context, delay);
      co_await timer.async_wait(asio::use_awaitable);
    }
    auto response = http::Response::text(status, type, body);
    if (status == 302) response.headers.emplace_back("location", base() + "/x/other");
    co_return response;
  }

  std::string base() const { return "https://localhost:" + std::to_string(server_->port()); }
  std::string authority_name() const { return "localhost:" + std::to_string(server_->port()); }

  Result<signing::Chain> fetch(bool internal) {
    signing::FetcherConfig config;
    (internal ? config.internal_hosts : config.hosts) = {authority_name()};
    config.tls_anchors = anchors;
    config.timeout = timeout;
    auto fetcher = std::make_shared<signing::CertificateFetcher>(config, system_clock_now);
    return test::run(context, fetcher->fetch(base() + "/x/1.pem"));
  }

  Result<signing::SubscriptionPtr> find() { return find(base() + "/subs"); }
  Result<signing::SubscriptionPtr> find(const std::string& url) {
    signing::HttpSubscriptionSource source({url, anchors, certificate, private_key, timeout});
    return test::run(context, source.find(tokens::Impu::parse("sip:alice@a.example").value()));
  }

  test::TempDir dir;
  std::optional<test::Authority> authority;
  std::filesystem::path certificate;
  std::filesystem::path private_key;
  std::filesystem::path anchors;
  std::chrono::milliseconds timeout{5000};
  unsigned status = 200;
  std::string type = "application/json";
  std::string body;
  std::chrono::milliseconds delay{0};
  int requests = 0;
  bool with_certificate = false;
  std::string asked;
  asio::io_context context;

 private:
  std::shared_ptr<const http::ClientTable> clients_ = http::ClientTable::create({}).value();
  http::Router router_;
  prometheus::Registry metrics;
  std::unique_ptr<http::Server> server_;
};

void expect_unreachable(const Result<signing::Chain>& chain, const char* why) {
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().reason, "x5u-unreachable") << chain.error().detail;
  EXPECT_NE(chain.error().detail.find(why), std::string::npos) << chain.error().detail;
}

using X5uFarEnd = FarEnd;

TEST_F(X5uFarEnd, GivesTheCertificateOfAnInternalHost) {
  body = authority->certificate.pem();
  const auto chain = fetch(true);
  ASSERT_TRUE(chain) << chain.error().detail;
  EXPECT_EQ((*chain)->front().sha256_hex(), authority->certificate.sha256_hex());
  EXPECT_FALSE(with_certificate);
}

TEST_F(X5uFarEnd, AnInternalAddressIsNotConnectedToForAnotherHost) {
  body = authority->certificate.pem();
  expect_unreachable(fetch(false), "fetch-refused-address");
  EXPECT_EQ(requests, 0);
}

TEST_F(X5uFarEnd, ARedirectionIsNotFollowed) {
  status = 302;
  EXPECT_EQ(fetch(true).error().reason, "x5u-status");
  EXPECT_EQ(requests, 1);
}

TEST_F(X5uFarEnd, ASlowServerIsGivenUp) {
  body = authority->certificate.pem();
  timeout = 200ms;
  delay = 30s;
  expect_unreachable(fetch(true), "fetch-timeout");
}

TEST_F(X5uFarEnd, AHugeAnswerIsNotRead) {
  body = authority->certificate.pem() + std::string(16 * 1024, '\n');
  expect_unreachable(fetch(true), "fetch-too-large");
}

TEST_F(X5uFarEnd, AServerOfAnotherAuthorityIsNotBelieved) {
  anchors = dir.write("other.pem", test::Authority::create("other", to_unix(system_clock_now())).certificate.pem());
  expect_unreachable(fetch(true), "fetch-tls");
  EXPECT_EQ(requests, 0);
}

using HssFarEnd = FarEnd;

TEST_F(HssFarEnd, GivesASubscriptionOverMutualTls) {
  body = R"({"avatars":[{"applications":["game"],"id":"avatar-1"}],"impu":"sip:alice@a.example"})";
  const auto subscription = find();
  ASSERT_TRUE(subscription) << subscription.error().detail;
  EXPECT_TRUE(signing::allows(*subscription, "avatar-1", "game"));
  EXPECT_FALSE(signing::allows(*subscription, "avatar-1", "other"));
  EXPECT_EQ(asked, "sip:alice@a.example");
  EXPECT_TRUE(with_certificate);
}

TEST_F(HssFarEnd, NotFoundIsAnAnswer) {
  status = 404;
  const auto subscription = find();
  ASSERT_TRUE(subscription) << subscription.error().detail;
  EXPECT_FALSE(*subscription);
  EXPECT_FALSE(signing::allows(*subscription, "avatar-1", "game"));
}

TEST_F(HssFarEnd, EverythingElseFailsClosed) {
  const std::pair<unsigned, std::string> cases[] = {
      {200, "{"},
      {200, "{}"},
      {200, R"({"avatars":[],"impu":"sip:bob@a.example"})"},
      {200, std::string(70'000, ' ')},
      {204, ""},
      {302, ""},
      {403, "{}"},
      {500, "{}"},
  };
  for (const auto& [code, text] : cases) {
    status = code;
    body = text;
    const auto subscription = find();
    ASSERT_FALSE(subscription) << code << text.substr(0, 40);
    EXPECT_EQ(subscription.error().reason, "subscription-source-unavailable");
    EXPECT_EQ(subscription.error().category, Category::unavailable);
  }
}

TEST_F(HssFarEnd, ASlowOrAbsentSourceFailsClosed) {
  body = R"({"avatars":[]})";
  timeout = 200ms;
  delay = 30s;
  EXPECT_EQ(find().error().reason, "subscription-source-unavailable");
  timeout = 5000ms;
  EXPECT_EQ(find("https://localhost:1/subs").error().reason, "subscription-source-unavailable");
}

// The local source.

class LocalSource : public testing::Test {
 protected:
  signing::SubscriptionPtr find() {
    return test::run(context, source.find(tokens::Impu::parse("sip:alice@a.example").value())).value();
  }
  void put(const std::string& avatar) {
    store::Subscription row{tokens::Impu::parse("sip:alice@a.example").value(), {{avatar, {"game"}}}, 0};
    test::run(context, store.put(std::move(row))).value();
  }
  asio::io_context context;
  test::MemorySubscriptions store;
  std::shared_ptr<std::atomic<std::uint64_t>> writes = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::chrono::system_clock::time_point now{std::chrono::seconds(test::test_now)};
  signing::LocalSubscriptionSource source{store, writes, [this] { return now; }};
};

TEST_F(LocalSource, ReadsTheStoreAtMostOnceASecond) {
  put("avatar-1");
  EXPECT_TRUE(signing::allows(find(), "avatar-1", "game"));
  put("avatar-2");
  now += 999ms;
  EXPECT_TRUE(signing::allows(find(), "avatar-1", "game"));
  EXPECT_EQ(store.reads, 1);
  now += 1ms;
  EXPECT_TRUE(signing::allows(find(), "avatar-2", "game"));
  EXPECT_EQ(store.reads, 2);
}

TEST_F(LocalSource, ForgetsAtAWriteOfAnyThread) {
  EXPECT_FALSE(find());
  EXPECT_FALSE(find());
  EXPECT_EQ(store.reads, 1);
  put("avatar-1");
  writes->fetch_add(1);
  EXPECT_TRUE(find());
}

TEST_F(LocalSource, AClockThatWentBackIsNotBelieved) {
  EXPECT_FALSE(find());
  now -= 1h;
  EXPECT_FALSE(find());
  EXPECT_EQ(store.reads, 2);
}

TEST_F(LocalSource, DoesNotKeepFailures) {
  store.failure = errors::make(Category::unavailable, "store-unavailable", "");
  const auto impu = tokens::Impu::parse("sip:alice@a.example").value();
  EXPECT_EQ(test::run(context, source.find(impu)).error().reason, "store-unavailable");
  store.failure.reset();
  EXPECT_FALSE(find());
}

}  // namespace
}  // namespace avseal
