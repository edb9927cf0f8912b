#include "http/router.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/target.hpp"

namespace avseal::http {
namespace {

namespace asio = boost::asio;

TEST(Problem, HasOneStatusAndCausePerCategory) {
  const auto cause = [](Category category, std::string_view reason = "r", std::string param = {}) {
    return cause_of(errors::make(category, reason, "", std::move(param)));
  };
  EXPECT_EQ(status_of(Category::bad_request), 400U);
  EXPECT_EQ(status_of(Category::timeout), 503U);
  EXPECT_EQ(status_of(Category::precondition_required), 428U);
  EXPECT_EQ(status_of(Category::internal), 500U);
  EXPECT_EQ(cause(Category::bad_request), "INVALID_MSG_FORMAT");
  EXPECT_EQ(cause(Category::bad_request, "member-missing"), "MANDATORY_IE_MISSING");
  EXPECT_EQ(cause(Category::bad_request, "r", "query app"), "INVALID_QUERY_PARAM");
  EXPECT_EQ(cause(Category::invalid), "MANDATORY_IE_INCORRECT");
  EXPECT_EQ(cause(Category::unavailable), "NF_CONGESTION");
  EXPECT_EQ(cause(Category::internal), "SYSTEM_FAILURE");
}

TEST(Problem, SaysWhatHappened) {
  Request request;
  request.request_id = "id-1";
  const Error error = errors::make(Category::invalid, "impu-invalid", "expected a SIP URI", "/orig/uri");
  const Response response = render_problem(request, error);
  const boost::json::value expected{
      {"type", "about:blank"},
      {"title", "Value not acceptable"},
      {"status", 400},
      {"detail", "expected a SIP URI"},
      {"cause", "MANDATORY_IE_INCORRECT"},
      {"reason", "impu-invalid"},
      {"instance", "urn:request:id-1"},
      {"invalidParams", boost::json::array{{{"param", "/orig/uri"}, {"reason", "expected a SIP URI"}}}}};
  EXPECT_EQ(boost::json::parse(response.body), expected);
}

struct Routes : ::testing::Test {
  std::shared_ptr<const ClientTable> clients = *ClientTable::create({});
  std::vector<std::string> heard;
  Result<void> clock;
  Router router{clients,
                [this](const Request&, const Route* route, const Error& error) -> asio::awaitable<void> {
                  heard.push_back((route ? route->event : "-") + " " + std::string(error.reason));
                  co_return;
                },
                [this] { return clock; }};

  void add(Method method, const std::string& pattern, bool timed = false) {
    router.add({method,
                pattern,
                {},
                BodyMode::none,
                {},
                0,
                {},
                pattern,
                [](Request& request) -> asio::awaitable<Result<Response>> {
                  if (request.query.contains("fail")) co_return errors::make(Category::conflict, "test-failed", "");
                  co_return Response::text(200, "text/plain", request.path);
                },
                timed});
  }
  std::string match(const std::string& method, const std::string& target) {
    Request request;
    if (!read_head(request, method, target)) return "malformed";
    const auto route = router.match(request);
    return route ? (*route)->event : std::string(route.error().reason);
  }
  Response run(Request& request) {
    asio::io_context context;
    auto answer = asio::co_spawn(context, router.run(*request.route, request), asio::use_future);
    context.run();
    return answer.get();
  }
};

TEST_F(Routes, MatchWholeSegments) {
  add(Method::get, "/");
  add(Method::get, "/a/{x}");
  add(Method::put, "/a/{x}");
  add(Method::get, "/a/b");
  add(Method::get, "/a/{x}/c");
  EXPECT_EQ(match("GET", "/"), "/");
  EXPECT_EQ(match("GET", "/a/b"), "/a/b");
  EXPECT_EQ(match("PUT", "/a/b"), "/a/{x}");
  EXPECT_EQ(match("HEAD", "/a/z"), "/a/{x}");
  EXPECT_EQ(match("GET", "/a/z/c"), "/a/{x}/c");
  EXPECT_EQ(match("GET", "/a"), "route-unknown");
  EXPECT_EQ(match("GET", "/a/b/c/d"), "route-unknown");
  EXPECT_EQ(match("GET", "/A/b"), "route-unknown");
  EXPECT_EQ(match("DELETE", "/a/b"), "method-not-allowed");
}

TEST_F(Routes, MayTakeTheRestOfAPath) {
  add(Method::get, "/t/{rest...}");
  add(Method::get, "/t/entries/{rest...}");
  add(Method::get, "/t/{a}/{b}");
  EXPECT_EQ(match("GET", "/t"), "route-unknown");
  EXPECT_EQ(match("GET", "/t/0"), "/t/{rest...}");
  EXPECT_EQ(match("GET", "/t/0/x001/x002/003"), "/t/{rest...}");
  EXPECT_EQ(match("GET", "/t/entries/x001/003"), "/t/entries/{rest...}");
  Request request;
  ASSERT_TRUE(read_head(request, "GET", "/t/0/x001/003.p/5"));
  ASSERT_TRUE(router.match(request));
  EXPECT_EQ(request.parameters.at("rest"), "0/x001/003.p/5");
}

TEST_F(Routes, TellWhereTheLedgerHasTheRequest) {
  Route logged;
  logged.pattern = "/logged";
  logged.handler = [](Request& request) -> asio::awaitable<Result<Response>> {
    *request.receipt = ledger::Position{"test.example/node", 17};
    if (request.query.contains("fail")) co_return errors::make(Category::conflict, "test-failed", "");
    co_return Response::empty(204);
  };
  router.add(std::move(logged));
  for (const auto* target : {"/logged", "/logged?fail"}) {
    Request request;
    ASSERT_TRUE(read_head(request, "GET", target));
    ASSERT_TRUE(router.match(request));
    const auto response = run(request);
    const auto has = [&](const std::string& name, const std::string& value) {
      return std::find(response.headers.begin(), response.headers.end(), std::pair(name, value)) !=
             response.headers.end();
    };
    EXPECT_TRUE(has("avseal-ledger-index", "17")) << target;
    EXPECT_TRUE(has("avseal-ledger-origin", "test.example/node")) << target;
  }
}

TEST_F(Routes, ThatNeedTheTimeAreRefusedWhileItCannotBeTrusted) {
  add(Method::get, "/timed", true);
  add(Method::get, "/timeless");
  EXPECT_EQ(match("GET", "/timed"), "/timed");
  clock = errors::make(Category::unavailable, "clock-stepped", "");
  EXPECT_EQ(match("GET", "/timed"), "clock-stepped");
  EXPECT_EQ(match("GET", "/timeless"), "/timeless");
  clock = {};
  EXPECT_EQ(match("GET", "/timed"), "/timed");
}

TEST_F(Routes, KeepTheClientTableOfARequestThatIsAtWork) {
  add(Method::get, "/a");
  Request request;
  ASSERT_TRUE(read_head(request, "GET", "/a"));
  ASSERT_TRUE(router.match(request));
  const std::weak_ptr<const ClientTable> before = clients;
  clients.reset();
  router.use_clients(*ClientTable::create({}));
  EXPECT_FALSE(before.expired());
  request = {};
  EXPECT_TRUE(before.expired());
}

TEST_F(Routes, RunWithoutADeadlineAndTellTheSinkOfRefusals) {
  add(Method::get, "/a/{x}");
  Request request;
  ASSERT_TRUE(read_head(request, "GET", "/a/b"));
  ASSERT_TRUE(router.match(request));
  EXPECT_EQ(run(request).body, "/a/b");
  EXPECT_TRUE(heard.empty());

  Request failing;
  ASSERT_TRUE(read_head(failing, "GET", "/a/b?fail"));
  ASSERT_TRUE(router.match(failing));
  EXPECT_EQ(run(failing).status, 409U);
  EXPECT_EQ(failing.refusal, "test-failed");
  EXPECT_EQ(heard, std::vector<std::string>{"/a/{x} test-failed"});
}

}  // namespace
}  // namespace avseal::http
