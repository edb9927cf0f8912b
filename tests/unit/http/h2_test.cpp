#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raw_client.hpp"
#include "site.hpp"

namespace avseal::http {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using namespace avseal::http::testing;

const H2Client::Fields json_type{{"content-type", "application/json"}};

std::string reason_of(const H2Client::Answer& answer) {
  boost::system::error_code failed;
  const auto problem = boost::json::parse(answer.body, failed);
  if (failed || !problem.is_object() || !problem.as_object().contains("reason")) return "no problem: " + answer.body;
  return std::string(problem.at("reason").as_string());
}

TEST(H2, ServesARequestToAListedClient) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  EXPECT_EQ(client.tls.alpn(), "h2");
  const auto answer = client.exchange("GET", "/calls/abc%20d");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "abc d of ims-1");
  EXPECT_EQ(answer.headers.at("content-length"), std::to_string(answer.body.size()));
  EXPECT_FALSE(answer.headers.at("x-request-id").empty());
}

TEST(H2, PrefersLiteralSegmentsToParameters) {
  TestSite site;
  H2Client client(site.server->port(), {});
  EXPECT_EQ(client.exchange("GET", "/calls/special").body, "special");
}

TEST(H2, EchoesAWellFormedRequestIdOnly) {
  TestSite site;
  H2Client client(site.server->port(), {});
  EXPECT_EQ(client.exchange("GET", "/open", {{"x-request-id", "abc-1.2_3"}}).headers.at("x-request-id"), "abc-1.2_3");
  EXPECT_NE(client.exchange("GET", "/open", {{"x-request-id", "a b"}}).headers.at("x-request-id"), "a b");
  EXPECT_EQ(client.exchange("GET", "/nowhere", {{"x-request-id", "abc"}}).headers.at("x-request-id"), "abc");
}

TEST(H2, HeadHasTheHeadersOfGetAndNoBody) {
  TestSite site;
  H2Client client(site.server->port(), {});
  const auto answer = client.exchange("HEAD", "/open");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-length"), "4");
  EXPECT_TRUE(answer.body.empty());
}

TEST(H2, TakesACompleteBody) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  EXPECT_EQ(client.exchange("POST", "/echo", json_type, "{\"a\":1}").body, "{\"a\":1}");
  EXPECT_EQ(client.exchange("POST", "/echo", {{"content-type", "Application/JSON; charset=UTF-8"}}, "{}").body, "{}");
}

TEST(H2, ServesManyStreamsAtOnceOverSeveralThreads) {
  TestSite site({}, 2);
  std::vector<std::unique_ptr<H2Client>> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(std::make_unique<H2Client>(site.server->port(), TlsOptions{&site.ims}));
  for (const auto& client : clients) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 90; ++i) ids.push_back(client->send("POST", "/echo", json_type, std::to_string(i)));
    EXPECT_TRUE(client->run_until(
        [&] { return std::all_of(ids.begin(), ids.end(), [&](int id) { return client->answers[id].closed; }); }));
    for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(client->answers[ids[i]].body, std::to_string(i));
  }
}

struct Refusal {
  std::string name;
  std::string method;
  std::string path;
  H2Client::Fields fields;
  std::optional<std::string> body;
  int status;
  std::string reason;
};

TEST(H2, KeepsConnectionsOfOneThreadApart) {
  TestSite site;
  std::vector<std::unique_ptr<H2Client>> clients;
  for (int i = 0; i < 32; ++i)
    clients.push_back(std::make_unique<H2Client>(site.server->port(), TlsOptions{&site.ims}));
  const auto body = [](std::size_t client, std::size_t request) {
    return std::string(1000, static_cast<char>('a' + client % 26)) + std::to_string(client * 100 + request);
  };
  std::vector<std::map<std::size_t, std::int32_t>> ids(clients.size());
  for (std::size_t request = 0; request < 20; ++request) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      ids[i][request] = clients[i]->send("POST", "/echo", json_type, body(i, request));
      ASSERT_TRUE(clients[i]->flush());
    }
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    for (const auto& [request, id] : ids[i]) {
      H2Client& client = *clients[i];
      EXPECT_TRUE(client.run_until([&client, id = id] { return client.answers[id].closed; }));
      EXPECT_EQ(client.answers[id].body, body(i, request));
    }
  }
}

struct H2Refusals : ::testing::TestWithParam<Refusal> {};

TEST_P(H2Refusals, IsAnsweredAndCounted) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  const Refusal& r = GetParam();
  const auto answer = client.exchange(r.method, r.path, r.fields, r.body);
  EXPECT_EQ(answer.status, r.status);
  EXPECT_EQ(reason_of(answer), r.reason);
  EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
  EXPECT_EQ(site.refusals(r.reason), 1);
  EXPECT_EQ(site.refused, 1);
  EXPECT_EQ(client.exchange("GET", "/open").status, 200) << "the connection serves on";
}

H2Client::Fields many_headers(int count) {
  H2Client::Fields fields;
  for (int i = 0; i < count; ++i) fields.emplace_back("x-h" + std::to_string(i), "v");
  return fields;
}

INSTANTIATE_TEST_SUITE_P(
    All, H2Refusals,
    ::testing::Values(
        Refusal{"Route", "GET", "/nowhere", {}, {}, 404, "route-unknown"},
        Refusal{"Method", "PUT", "/calls/a", {}, {}, 405, "method-not-allowed"},
        Refusal{"UnknownMethod", "PATCH", "/calls/a", {}, {}, 405, "method-unknown"},
        Refusal{"ContentType", "POST", "/echo", {{"content-type", "text/plain"}}, "{}", 415, "content-type"},
        Refusal{"NoContentType", "POST", "/echo", {}, "{}", 415, "content-type"},
        Refusal{"Charset",
                "POST",
                "/echo",
                {{"content-type", "application/json; charset=latin1"}},
                "{}",
                415,
                "content-type"},
        Refusal{"Encoding",
                "POST",
                "/echo",
                {{"content-type", "application/json"}, {"content-encoding", "gzip"}},
                "{}",
                415,
                "content-encoding"},
        Refusal{"BodyTooLarge", "POST", "/echo", json_type, std::string(1025, 'a'), 413, "body-too-large"},
        Refusal{"BodyTooLargeDeclared",
                "POST",
                "/echo",
                {{"content-type", "application/json"}, {"content-length", "1025"}},
                std::string(1025, 'a'),
                413,
                "body-too-large"},
        Refusal{"BodyUnexpected", "GET", "/calls/a", {}, "x", 400, "body-unexpected"},
        Refusal{"DotSegment", "GET", "/calls/%2e%2e", {}, {}, 400, "target-malformed"},
        Refusal{"EmptySegment", "GET", "//calls", {}, {}, 400, "target-malformed"},
        Refusal{"RepeatedQuery", "GET", "/open?a=1&a=2", {}, {}, 400, "target-malformed"},
        Refusal{"RepeatedHeader", "GET", "/open", {{"x-a", "1"}, {"x-a", "2"}}, {}, 400, "header-repeated"},
        Refusal{"TooManyHeaders", "GET", "/open", many_headers(65), {}, 431, "too-many-headers"},
        Refusal{"HeaderListTooLarge",
                "GET",
                "/open",
                {{"x-a", std::string(9000, 'a')}, {"x-b", std::string(9000, 'b')}},
                {},
                431,
                "header-list-too-large"},
        Refusal{"Unavailable", "GET", "/fail", {}, {}, 503, "store-unavailable"},
        Refusal{"Throws", "GET", "/throw", {}, {}, 500, "handler-failed"},
        Refusal{"StreamTooLarge", "PUT", "/small-upload", {}, std::string(100'001, 'a'), 413, "body-too-large"}),
    [](const auto& tested) { return tested.param.name; });

TEST(H2, AcceptsAsManyHeadersAsAllowed) {
  TestSite site;
  H2Client client(site.server->port(), {});
  EXPECT_EQ(client.exchange("GET", "/open", many_headers(64)).status, 200);
}

TEST(H2, JoinsRepeatedListHeaders) {
  TestSite site;
  H2Client client(site.server->port(), {});
  EXPECT_EQ(client.exchange("GET", "/open", {{"accept", "a/b"}, {"accept", "c/d"}}).status, 200);
}

TEST(H2, SaysWhatWasExpectedAndPresented) {
  TestSite site;
  H2Client nobody(site.server->port(), {});
  auto answer = nobody.exchange("GET", "/calls/a");
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(reason_of(answer), "client-certificate-missing");
  EXPECT_THAT(answer.body, HasSubstr("ims-as"));

  H2Client unlisted(site.server->port(), {&site.unlisted});
  answer = unlisted.exchange("GET", "/calls/a");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(reason_of(answer), "client-unknown");
  EXPECT_THAT(answer.body, HasSubstr("unlisted.example"));

  H2Client auditor(site.server->port(), {&site.auditor});
  answer = auditor.exchange("GET", "/calls/a");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(reason_of(answer), "client-role");
  EXPECT_THAT(answer.body, HasSubstr("auditor-1"));
  EXPECT_THAT(answer.body, HasSubstr("MODIFICATION_NOT_ALLOWED"));
}

TEST(H2, NamesTheAllowedMethodsAndWhenToRetry) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  EXPECT_EQ(client.exchange("PUT", "/calls/a").headers.at("allow"), "GET, HEAD, DELETE");
  const auto answer = client.exchange("GET", "/fail");
  EXPECT_EQ(answer.headers.at("retry-after"), "1");
  EXPECT_THAT(answer.body, HasSubstr("\"invalidParams\":[{\"param\":\"query a\""));
}

TEST(H2, UsesTheRoutesErrorForm) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  EXPECT_EQ(client.exchange("POST", "/form", json_type, "{}").body, "form-refused");
  EXPECT_EQ(client.exchange("POST", "/form", {{"content-type", "a/b"}}, "{}").body, "content-type");
  H2Client nobody(site.server->port(), {});
  EXPECT_EQ(nobody.exchange("POST", "/form", json_type, "{}").status, 418);
}

TEST(H2, NeverWritesABrokenHeader) {
  TestSite site;
  H2Client client(site.server->port(), {});
  const auto answer = client.exchange("GET", "/bad-header");
  EXPECT_EQ(answer.status, 500);
  EXPECT_FALSE(answer.headers.contains("set-cookie"));
}

TEST(H2, HoldsBackAnUploadThatNobodyReads) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims, "h2", TLS1_3_VERSION, 30});
  constexpr std::uint64_t size = 32 << 20;
  const std::int32_t id = client.send_sized("PUT", "/upload?gate=1", size);
  // Reads what the server grants while its handler takes nothing; the PING's answer comes after every grant.
  EXPECT_TRUE(client.run_until([&] { return client.body_sent >= 64 * 1024 && site.at_gate == 1; }));
  EXPECT_TRUE(client.run_until([&] { return client.body_sent >= 256 * 1024; }));
  ASSERT_TRUE(eventually([&] { return site.metric("avseal_http_buffered_body_bytes") == 256 * 1024; }));
  EXPECT_EQ(client.body_sent, 256 * 1024);
  site.open_gate();
  double most = 0;
  EXPECT_TRUE(client.run_until([&] {
    most = std::max(most, site.metric("avseal_http_buffered_body_bytes"));
    return client.answers[id].closed;
  }));
  EXPECT_EQ(client.answers[id].body, std::to_string(size));
  EXPECT_LE(most, 256 * 1024);
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_buffered_body_bytes") == 0; }));
}

TEST(H2, EndsAnUploadThatItsHandlerAnsweredEarly) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  const std::int32_t id = client.send_sized("PUT", "/upload?stop=1", 32 << 20);
  EXPECT_TRUE(client.run_until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].status, 200);
  EXPECT_EQ(client.answers[id].error, std::uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(client.exchange("GET", "/open").status, 200);
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_buffered_body_bytes") == 0; }));
}

TEST(H2, TakesLittleMoreOfAnUploadThatItRefused) {
  TestSite site;
  H2Client client(site.server->port(), {&site.ims});
  for (const std::string target : {"/upload?fail=1", "/small-upload", "/echo", "/nowhere"}) {
    client.body_sent = 0;
    const std::int32_t id = client.send_sized(target == "/echo" ? "POST" : "PUT", target, 32 << 20);
    EXPECT_TRUE(client.run_until([&] { return client.answers[id].closed; })) << target;
    EXPECT_GE(client.answers[id].status, 400) << target;
    EXPECT_EQ(client.answers[id].error, std::uint32_t{NGHTTP2_NO_ERROR}) << target;
    EXPECT_LE(client.body_sent, 1 << 20) << target;
  }
  EXPECT_EQ(client.exchange("GET", "/open").status, 200);
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_buffered_body_bytes") == 0; }));
}

TEST(H2, ProducesADownloadOnlyAsItIsTaken) {
  TestSite site;
  constexpr std::uint64_t size = 4 << 20;
  H2Client client(site.server->port(), {&site.ims, "h2", TLS1_3_VERSION, 30});
  client.hold_window = true;
  const std::int32_t id = client.send("GET", "/download?size=" + std::to_string(size));
  EXPECT_TRUE(client.run_until([&] { return client.answers[id].body.size() == 65'535; }));
  EXPECT_LE(site.produced, 65'536 + 16 * 1024);

  H2Client taker(site.server->port(), {&site.ims, "h2", TLS1_3_VERSION, 30});
  const auto answer = taker.exchange("GET", "/download?size=" + std::to_string(size));
  EXPECT_EQ(answer.body.size(), size);
  EXPECT_EQ(answer.headers.at("content-length"), std::to_string(size));
}

TEST(H2, ResetsADownloadThatBreaks) {
  TestSite site;
  H2Client client(site.server->port(), {});
  const auto answer = client.exchange("GET", "/download?size=100000&whole=50000");
  EXPECT_EQ(answer.body.size(), 50'000U);
  EXPECT_EQ(answer.error, std::uint32_t{NGHTTP2_INTERNAL_ERROR});
  EXPECT_EQ(site.refusals("answer-broken"), 1);
}

TEST(H2, AnswersWhenTheDeadlinePassesAndTheHandlerEndsByItself) {
  TestSite site([](ServerConfig& config) { config.request_deadline = 100ms; });
  H2Client client(site.server->port(), {});
  const auto answer = client.exchange("GET", "/gate");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(reason_of(answer), "deadline");
  EXPECT_EQ(answer.headers.at("retry-after"), "1");
  EXPECT_EQ(site.late_ends, 0);
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.late_ends == 1; }));
  EXPECT_EQ(client.exchange("GET", "/open").status, 200);
}

TEST(H2, SurvivesAResetWhileTheHandlerWorks) {
  TestSite site;
  H2Client client(site.server->port(), {});
  const std::int32_t id = client.send("GET", "/gate");
  client.flush();
  ASSERT_TRUE(eventually([&] { return site.at_gate == 1; }));
  client.reset(id);
  EXPECT_EQ(client.exchange("GET", "/open").status, 200);
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.late_ends == 1; }));
  EXPECT_EQ(client.exchange("GET", "/open").status, 200);
}

TEST(H2, SurvivesAConnectionThatEndsWhileHandlersWork) {
  TestSite site;
  {
    H2Client client(site.server->port(), {&site.ims});
    client.send("GET", "/gate");
    client.send_sized("PUT", "/upload", 1 << 20);
    client.flush();
    ASSERT_TRUE(eventually([&] { return site.at_gate == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return site.refusals("body-truncated") == 1; }));
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.late_ends == 1; }));
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
}

TEST(H2, RefusesMoreStreamsThanAnnounced) {
  TestSite site([](ServerConfig& config) { config.max_streams = 4; });
  H2Client client(site.server->port(), {});
  for (int i = 0; i < 5; ++i) client.send("GET", "/gate");
  client.run_until([&] { return client.answers[9].closed || client.goaway; });
  EXPECT_EQ(client.answers[9].error, std::uint32_t{NGHTTP2_REFUSED_STREAM});
  EXPECT_TRUE(eventually([&] { return site.refusals("h2-too-many-streams") == 1; }));
  EXPECT_EQ(site.at_gate, 4);
}

TEST(H2, BoundsHandlersOfStreamsThatWereReset) {
  TestSite site([](ServerConfig& config) { config.max_streams = 4; });
  H2Client client(site.server->port(), {});
  for (int i = 0; i < 20; ++i) {
    const std::int32_t id = client.send("GET", "/gate");
    client.flush();
    client.reset(id);
    client.flush();
  }
  EXPECT_TRUE(eventually([&] { return site.refusals("too-many-handlers") == 12; }));
  EXPECT_EQ(site.at_gate, 8);
}

TEST(H2, EndsAConnectionThatResetsTooFast) {
  TestSite site;
  H2Client client(site.server->port(), {});
  for (int i = 0; i < 1000 && client.flush(); ++i) {
    const std::int32_t id = client.send("GET", "/open");
    client.flush();
    client.reset(id);
  }
  client.run_until([&] { return client.goaway.has_value(); });
  EXPECT_TRUE(client.goaway.has_value());
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
  EXPECT_GE(site.refusals("h2-session-limit"), 1);
}

TEST(H2, EndsAConnectionWithTooManyContinuations) {
  TestSite site;
  H2Client client(site.server->port(), {});
  client.step();
  // HEADERS without END_HEADERS on stream 1, then empty CONTINUATION frames.
  client.tls.write(std::string_view("\x00\x00\x00\x01\x01\x00\x00\x00\x01", 9));
  for (int i = 0; i < 20; ++i) client.tls.write(std::string_view("\x00\x00\x00\x09\x00\x00\x00\x00\x01", 9));
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
}

TEST(H2, EndsAConnectionThatSpeaksNoHttp2) {
  TestSite site;
  TlsClient client(site.server->port(), {});
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.read_to_end();
  EXPECT_TRUE(eventually([&] { return site.refusals("h2-malformed") == 1; }));
}

TEST(H2, EndsIdleAndSlowConnections) {
  TestSite site([](ServerConfig& config) {
    config.idle_timeout = 150ms;
    config.request_deadline = 150ms;
  });
  H2Client idle(site.server->port(), {});
  idle.run_until([&] { return idle.goaway.has_value(); });
  EXPECT_EQ(idle.goaway, std::uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_TRUE(eventually([&] { return site.refusals("idle") == 1; }));

  H2Client slow_head(site.server->port(), {});
  slow_head.flush();
  slow_head.tls.write(std::string_view("\x00\x00\x00\x01\x01\x00\x00\x00\x01", 9));
  EXPECT_TRUE(eventually([&] { return site.refusals("head-late") == 1; }));

  H2Client slow_body(site.server->port(), {&site.ims});
  const std::int32_t id = slow_body.send("POST", "/echo", json_type, "{", false);
  slow_body.run_until([&] { return slow_body.answers[id].status != 0; });
  EXPECT_EQ(slow_body.answers[id].status, 503);

  H2Client slow_upload(site.server->port(), {&site.ims});
  const std::int32_t upload = slow_upload.send("PUT", "/upload", {}, "{", false);
  slow_upload.run_until([&] { return slow_upload.answers[upload].status != 0; });
  EXPECT_EQ(slow_upload.answers[upload].status, 503);
  EXPECT_EQ(site.refusals("deadline"), 2);
}

TEST(H2, ResetsAnAnswerThatNobodyTakes) {
  TestSite site([](ServerConfig& config) { config.stream_deadline = 150ms; });
  H2Client client(site.server->port(), {});
  client.hold_window = true;
  const std::int32_t id = client.send("GET", "/download?size=1000000");
  EXPECT_TRUE(client.run_until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].error, std::uint32_t{NGHTTP2_CANCEL});
  EXPECT_EQ(site.refusals("answer-not-taken"), 1);
}

TEST(H2, DrainLetsRequestsInFlightEnd) {
  TestSite site;
  H2Client client(site.server->port(), {});
  H2Client idle(site.server->port(), {});
  EXPECT_EQ(idle.exchange("GET", "/open").status, 200);
  const std::int32_t id = client.send("GET", "/gate");
  client.flush();
  ASSERT_TRUE(eventually([&] { return site.at_gate == 1; }));
  site.drain(60s);
  EXPECT_TRUE(client.run_until([&] { return client.goaway.has_value(); }));
  while (idle.step()) {
  }
  EXPECT_EQ(idle.goaway, std::uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(site.drained, 0);
  site.open_gate();
  EXPECT_TRUE(client.run_until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].status, 200);
  EXPECT_TRUE(eventually([&] { return site.drained == 1; }));
  EXPECT_FALSE(TlsClient(site.server->port(), {}).connected()) << "accepts nothing more";
}

TEST(H2, DrainCutsWhatOutlivesItsLimit) {
  TestSite site({}, 2);
  H2Client client(site.server->port(), {});
  client.send("GET", "/gate");
  client.flush();
  ASSERT_TRUE(eventually([&] { return site.at_gate == 1; }));
  site.drain(50ms);
  EXPECT_TRUE(eventually([&] { return site.drained == 1; }));
  while (client.step()) {
  }
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.late_ends == 1; }));
}

}  // namespace
}  // namespace avseal::http
