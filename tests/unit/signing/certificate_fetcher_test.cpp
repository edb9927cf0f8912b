#include "signing/certificate_fetcher.hpp"

#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "site.hpp"

namespace avseal {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using signing::Chain;

const std::string url = "https://certs.b.example/1.pem";

// What the far end answers, and when: each exchange waits until it is released.
struct FarEnd {
  explicit FarEnd(asio::io_context& context) : gate(context, asio::steady_timer::time_point::max()) {}

  asio::awaitable<Result<http::ClientResponse>> answer(http::ClientConfig config) {
    ++exchanges;
    last = std::move(config);
    if (held) {
      boost::system::error_code ignored;
      auto token = asio::redirect_error(asio::use_awaitable, ignored);
      co_await gate.async_wait(token);
    }
    if (failure) co_return *failure;
    http::ClientResponse response;
    response.status = status;
    response.body = body;
    co_return response;
  }

  asio::steady_timer gate;
  bool held = false;
  int exchanges = 0;
  unsigned status = 200;
  std::string body = test::Authority::create("signer", test::test_now).certificate.pem();
  std::optional<Error> failure;
  http::ClientConfig last;
};

class Fetcher : public testing::Test {
 protected:
  std::shared_ptr<signing::CertificateFetcher> make(signing::FetcherConfig config = {}) {
    config.hosts = {"certs.b.example"};
    config.internal_hosts = {"certs.internal"};
    return std::make_shared<signing::CertificateFetcher>(
        config, [this] { return std::chrono::system_clock::time_point(std::chrono::seconds(now)); },
        [this](const http::ClientConfig& client, std::string) { return far_end.answer(client); });
  }
  Result<Chain> fetch(const std::shared_ptr<signing::CertificateFetcher>& fetcher, const std::string& from = url) {
    return test::run(context, fetcher->fetch(from));
  }
  std::string reason(const std::shared_ptr<signing::CertificateFetcher>& fetcher, const std::string& from = url) {
    const auto chain = fetch(fetcher, from);
    return chain ? "" : std::string(chain.error().reason);
  }

  UnixSeconds now = test::test_now;
  asio::io_context context;
  FarEnd far_end{context};
};

TEST_F(Fetcher, GivesTheChainAndRemembersIt) {
  const auto fetcher = make();
  const auto chain = fetch(fetcher);
  ASSERT_TRUE(chain) << chain.error().detail;
  EXPECT_EQ((*chain)->size(), 1U);
  now += 299;
  EXPECT_EQ(reason(fetcher), "");
  EXPECT_EQ(far_end.exchanges, 1);
  now += 1;
  EXPECT_EQ(reason(fetcher), "");
  EXPECT_EQ(far_end.exchanges, 2);
}

TEST_F(Fetcher, RemembersFailuresForAShorterTime) {
  const auto fetcher = make();
  far_end.failure = errors::make(Category::timeout, "fetch-timeout", "2 s");
  const auto failed = fetch(fetcher);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "x5u-unreachable");
  EXPECT_EQ(failed.error().category, Category::invalid);
  EXPECT_NE(failed.error().detail.find("fetch-timeout"), std::string::npos);
  far_end.failure.reset();
  now += 9;
  EXPECT_EQ(reason(fetcher), "x5u-unreachable");
  EXPECT_EQ(far_end.exchanges, 1);
  now += 1;
  EXPECT_EQ(reason(fetcher), "");
}

TEST_F(Fetcher, RefusesOtherAnswers) {
  for (const unsigned status : {301U, 302U, 307U, 404U, 500U, 204U}) {
    far_end.status = status;
    EXPECT_EQ(reason(make()), "x5u-status") << status;
  }
  far_end.status = 200;
  far_end.body = "<html>";
  EXPECT_EQ(reason(make()), "x5u-content");
}

TEST_F(Fetcher, AsksNobodyForAUrlThatIsNotAllowed) {
  const auto fetcher = make();
  EXPECT_EQ(reason(fetcher, "https://evil.example/1.pem"), "x5u-host-not-allowed");
  EXPECT_EQ(reason(fetcher, "https://127.0.0.1/1.pem"), "x5u-malformed");
  EXPECT_EQ(far_end.exchanges, 0);
}

TEST_F(Fetcher, LimitsTheExchange) {
  EXPECT_EQ(reason(make()), "");
  EXPECT_EQ(far_end.last.timeout, 2000ms);
  EXPECT_EQ(far_end.last.max_body, 16U * 1024);
  ASSERT_TRUE(far_end.last.address_allowed);
  EXPECT_FALSE(far_end.last.address_allowed(asio::ip::make_address("127.0.0.1")));
  EXPECT_EQ(reason(make(), "https://certs.internal/1.pem"), "");
  EXPECT_FALSE(far_end.last.address_allowed);
}

TEST_F(Fetcher, OneExchangeServesAllWhoWait) {
  const auto fetcher = make();
  far_end.held = true;
  int answers = 0;
  for (int i = 0; i < 5; ++i) {
    asio::co_spawn(context, fetcher->fetch(url),
                   [&](std::exception_ptr, Result<Chain> chain) { answers += chain ? 1 : 0; });
  }
  context.poll();
  EXPECT_EQ(far_end.exchanges, 1);
  EXPECT_EQ(answers, 0);
  far_end.gate.expires_at(asio::steady_timer::time_point::min());
  context.run();
  EXPECT_EQ(answers, 5);
}

TEST_F(Fetcher, ACallerThatGivesUpLeavesTheExchangeToTheOthers) {
  const auto fetcher = make();
  far_end.held = true;
  asio::cancellation_signal deadline;
  int answers = 0;
  asio::co_spawn(context, fetcher->fetch(url),
                 asio::bind_cancellation_slot(deadline.slot(), [](std::exception_ptr, Result<Chain>) {}));
  asio::co_spawn(context, fetcher->fetch(url),
                 [&](std::exception_ptr, Result<Chain> chain) { answers += chain ? 1 : 0; });
  context.poll();
  deadline.emit(asio::cancellation_type::terminal);
  context.poll();
  far_end.gate.expires_at(asio::steady_timer::time_point::min());
  context.run();
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(far_end.exchanges, 1);
}

TEST_F(Fetcher, FetchesInFlightAreBounded) {
  signing::FetcherConfig config;
  config.max_in_flight = 1;
  const auto fetcher = make(config);
  far_end.held = true;
  asio::co_spawn(context, fetcher->fetch(url), [](std::exception_ptr, Result<Chain>) {});
  context.poll();
  std::optional<Error> busy;
  asio::co_spawn(context, fetcher->fetch(url + "x"), [&](std::exception_ptr, Result<Chain> chain) {
    if (!chain) busy = chain.error();
  });
  context.poll();
  ASSERT_TRUE(busy);
  EXPECT_EQ(busy->reason, "certificate-fetcher-busy");
  EXPECT_EQ(busy->category, Category::unavailable);
  far_end.gate.expires_at(asio::steady_timer::time_point::min());
  context.run();
}

TEST_F(Fetcher, TheCacheIsBounded) {
  signing::FetcherConfig config;
  config.max_entries = 2;
  const auto fetcher = make(config);
  for (const char* name : {"1", "2", "3"}) {
    EXPECT_EQ(reason(fetcher, "https://certs.b.example/" + std::string(name)), "");
    ++now;
  }
  EXPECT_EQ(far_end.exchanges, 3);
  EXPECT_EQ(reason(fetcher, "https://certs.b.example/3"), "");
  EXPECT_EQ(reason(fetcher, "https://certs.b.example/2"), "");
  EXPECT_EQ(far_end.exchanges, 3);
  EXPECT_EQ(reason(fetcher, "https://certs.b.example/1"), "");
  EXPECT_EQ(far_end.exchanges, 4);
}

TEST_F(Fetcher, ServesCallersOfSeveralThreads) {
  const auto fetcher = make();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  asio::io_context contexts[3];
  const auto body = far_end.body;
  for (auto& own : contexts) {
    for (int i = 0; i < 50; ++i) {
      asio::co_spawn(own, fetcher->fetch(url), [&](std::exception_ptr, Result<Chain> chain) { good += chain ? 1 : 0; });
    }
  }
  for (auto& own : contexts) {
    threads.emplace_back([&own, work = asio::make_work_guard(own)] { own.run_for(10s); });
  }
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (good < 150 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  for (auto& own : contexts) own.stop();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 150);
  EXPECT_EQ(far_end.exchanges, 1);
}

}  // namespace
}  // namespace avseal
