#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raw_client.hpp"
#include "site.hpp"

namespace avseal::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;
using namespace avseal::http::testing;

struct H1 : ::testing::Test {
  // What the server says to `bytes` until it closes; requests must ask for that or deserve it.
  static std::string say(const TestSite& site, const std::string& bytes, const Identity* identity = nullptr) {
    TlsClient client(site.server->port(), {identity, "http/1.1", TLS1_3_VERSION, 10});
    client.write(bytes);
    return client.read_to_end();
  }
};

const std::string get_open = "GET /open HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string close_open = "GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

TEST_F(H1, ServesRequestsOneAfterAnother) {
  TestSite site;
  const std::string answer = say(site, get_open + "HEAD /open HTTP/1.1\r\nHost: a\r\n\r\n" + close_open);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  std::size_t count = 0;
  for (std::size_t at = answer.find("HTTP/1.1 200"); at != std::string::npos; at = answer.find("HTTP/1.1 200", at + 1))
    ++count;
  EXPECT_EQ(count, 3U);
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST_F(H1, ServesAClientWithoutAlpn) {
  TestSite site;
  TlsClient client(site.server->port(), {nullptr, "", TLS1_3_VERSION, 10});
  client.write(close_open);
  EXPECT_THAT(client.read_to_end(), HasSubstr("200 OK"));
}

TEST_F(H1, TakesBodiesWithLengthAndChunked) {
  TestSite site;
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n";
  EXPECT_THAT(say(site, head + "Content-Length: 2\r\n\r\n{}", &site.ims), HasSubstr("\r\n\r\n{}"));
  EXPECT_THAT(say(site, head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", &site.ims),
              HasSubstr("\r\n\r\n{}"));
  EXPECT_THAT(say(site, head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", &site.ims),
              StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
}

TEST_F(H1, AsksForABodyOnlyWhenSomebodyReadsIt) {
  TestSite site;
  const std::string rest = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n";
  EXPECT_THAT(say(site, "PUT /upload?fail=1" + rest, &site.ims), StartsWith("HTTP/1.1 409"));
  EXPECT_THAT(say(site, "PUT /upload" + rest, &site.auditor), StartsWith("HTTP/1.1 403"));
}

TEST_F(H1, TakesLittleMoreOfAnUploadThatItRefused) {
  TestSite site;
  for (const std::string target : {"/upload?fail=1", "/upload"}) {
    TlsClient client(site.server->port(), {target == "/upload" ? &site.auditor : &site.ims, ""});
    ASSERT_TRUE(client.write("PUT " + target + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"));
    const std::string piece(16 * 1024, 'a');
    std::size_t sent = 0;
    while (sent < 1'000'000'000 && client.write(piece)) sent += piece.size();
    EXPECT_LT(sent, 64U << 20) << "what the sockets of both sides hold, and a bounded part of the rest";
    EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
  }
}

struct H1Refusal {
  std::string name;
  std::string bytes;
  std::string status;
  std::string reason;
};

struct H1Refusals : ::testing::TestWithParam<H1Refusal> {};

TEST_P(H1Refusals, IsAnsweredAndCounted) {
  TestSite site;
  const std::string answer = H1::say(site, GetParam().bytes, &site.ims);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + GetParam().status));
  EXPECT_THAT(answer, HasSubstr("\"reason\":\"" + GetParam().reason + "\""));
  EXPECT_EQ(site.refusals(GetParam().reason), 1);
  EXPECT_EQ(site.refused, 1);
}

std::string request(const std::string& line, const std::string& fields, const std::string& body = {}) {
  return line + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + "\r\n" + body;
}

std::string many_fields(int count) {
  std::string fields;
  for (int i = 0; i < count; ++i) fields += "x-" + std::to_string(i) + ": v\r\n";
  return fields;
}

const std::string json_field = "Content-Type: application/json\r\n";

INSTANTIATE_TEST_SUITE_P(
    All, H1Refusals,
    ::testing::Values(
        H1Refusal{"Garbage", "\x16\x03garbage\r\n\r\n", "400", "message-malformed"},
        H1Refusal{"NoHost", "GET /open HTTP/1.1\r\n\r\n", "400", "message-malformed"},
        H1Refusal{"OldVersion", "GET /open HTTP/1.0\r\nHost: a\r\n\r\n", "400", "message-malformed"},
        H1Refusal{"AbsoluteTarget", request("GET https://a/open", ""), "400", "target-malformed"},
        H1Refusal{"TwoHosts", request("GET /open", "Host: b\r\n"), "400", "header-repeated"},
        H1Refusal{"TwoLengths", request("POST /echo", json_field + "Content-Length: 1\r\nContent-Length: 2\r\n", "{}"),
                  "400", "message-malformed"},
        H1Refusal{
            "LengthAndChunked",
            request("POST /echo", json_field + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            "400", "message-malformed"},
        H1Refusal{"TooManyHeaders", request("GET /open", many_fields(63)), "431", "too-many-headers"},
        H1Refusal{"HeaderTooLarge", request("GET /open", "x-a: " + std::string(17'000, 'a') + "\r\n"), "431",
                  "header-list-too-large"},
        H1Refusal{"BodyDeclaredTooLarge", request("POST /echo", json_field + "Content-Length: 1025\r\n"), "413",
                  "body-too-large"},
        H1Refusal{"BodyTooLarge",
                  request("POST /echo", json_field + "Transfer-Encoding: chunked\r\n",
                          "401\r\n" + std::string(1025, 'a') + "\r\n0\r\n\r\n"),
                  "413", "body-too-large"},
        H1Refusal{"StreamTooLarge",
                  request("PUT /small-upload", "Transfer-Encoding: chunked\r\n",
                          "186a1\r\n" + std::string(100'001, 'a') + "\r\n0\r\n\r\n"),
                  "413", "body-too-large"},
        H1Refusal{"BodyUnexpected", request("GET /calls/a", "Content-Length: 1\r\n", "x"), "400", "body-unexpected"},
        H1Refusal{"Route", request("GET /nowhere", ""), "404", "route-unknown"},
        H1Refusal{"Method", request("PUT /open", ""), "405", "method-not-allowed"},
        H1Refusal{"UnknownMethod", request("BREW /open", ""), "405", "method-unknown"},
        H1Refusal{"ContentType", request("POST /echo", "Content-Length: 2\r\n", "{}"), "415", "content-type"}),
    [](const auto& tested) { return tested.param.name; });

TEST_F(H1, ClosesAfterABodyThatWasNotRead) {
  TestSite site;
  // What follows a refused body must never be taken for a request.
  const std::string answer =
      say(site, "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(get_open.size()) + "\r\n\r\n" +
                    get_open);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(answer, Not(HasSubstr("200 OK")));
}

TEST_F(H1, EndsIdleAndSlowConnections) {
  TestSite site([](ServerConfig& config) {
    config.idle_timeout = 100ms;
    config.request_deadline = 150ms;
  });
  EXPECT_EQ(say(site, ""), "");
  EXPECT_EQ(site.refusals("idle"), 1);
  EXPECT_THAT(say(site, "GET /op"), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(site.refusals("head-late"), 1);
  EXPECT_THAT(say(site, request("POST /echo", json_field + "Content-Length: 2\r\n", "{"), &site.ims),
              StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(say(site, request("PUT /upload", "Content-Length: 2\r\n", "{"), &site.ims), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(site.refusals("deadline"), 2);
}

TEST_F(H1, AnswersWhenTheDeadlinePasses) {
  TestSite site([](ServerConfig& config) { config.request_deadline = 100ms; });
  const std::string answer = say(site, request("GET /gate", ""));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("retry-after: 1"));
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.late_ends == 1; }));
}

TEST_F(H1, SurvivesAHandlerThatReadsOnAfterItsDeadline) {
  TestSite site([](ServerConfig& config) { config.request_deadline = config.stream_deadline = 100ms; });
  const std::string answer = say(site, request("PUT /upload?gate=1", "Content-Length: 5\r\n", "abc"), &site.ims);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
}

TEST_F(H1, SurvivesAClientThatLeaves) {
  TestSite site;
  {
    TlsClient client(site.server->port(), {nullptr, "http/1.1", TLS1_3_VERSION, 10});
    client.write(request("GET /gate", ""));
    ASSERT_TRUE(eventually([&] { return site.at_gate == 1; }));
  }
  {
    TlsClient client(site.server->port(), {&site.ims, "http/1.1", TLS1_3_VERSION, 10});
    client.write(request("PUT /upload", "Content-Length: 5\r\n", "abc"));
  }
  EXPECT_TRUE(eventually([&] { return site.refusals("body-truncated") == 1; }));
  site.open_gate();
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 0; }));
}

TEST_F(H1, StreamsUpAndDown) {
  TestSite site;
  const std::string content(8 << 20, 'a');
  const auto up = site.fetch(site.client(&site.ims), Method::put, "/upload", {}, content);
  ASSERT_TRUE(up) << up.error().detail;
  EXPECT_EQ(up->body, std::to_string(content.size()));

  ClientConfig config = site.client();
  config.max_body = 64 << 20;
  const auto down = site.fetch(config, Method::get, "/download?size=8388608");
  ASSERT_TRUE(down) << down.error().detail;
  EXPECT_TRUE(down->body == content);
}

TEST_F(H1, ProducesADownloadOnlyAsItIsTaken) {
  TestSite site;
  TlsClient client(site.server->port(), {nullptr, "http/1.1", TLS1_3_VERSION, 10});
  client.write(request("GET /download?size=268435456", ""));
  ASSERT_TRUE(eventually([&] { return site.produced > 0; }));
  // The kernel's buffers fill up; then nothing more is produced.
  std::uint64_t before = 0;
  ASSERT_TRUE(eventually([&] {
    const std::uint64_t now = site.produced;
    return std::exchange(before, now) == now && now > 64 * 1024;
  }));
  EXPECT_LT(site.produced, 128U << 20);
}

TEST_F(H1, CutsADownloadThatBreaks) {
  TestSite site;
  ClientConfig config = site.client();
  config.max_body = 1 << 20;
  const auto answer = site.fetch(config, Method::get, "/download?size=100000&whole=50000");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, "fetch-failed");
  EXPECT_EQ(site.refusals("answer-broken"), 1);
}

TEST_F(H1, DrainEndsIdleConnectionsAndLetsRequestsEnd) {
  TestSite site;
  TlsClient idle(site.server->port(), {nullptr, "http/1.1", TLS1_3_VERSION, 10});
  idle.write(get_open);
  EXPECT_THAT(idle.read_some(), StartsWith("HTTP/1.1 200"));
  TlsClient busy(site.server->port(), {nullptr, "http/1.1", TLS1_3_VERSION, 10});
  busy.write("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return site.at_gate == 1; }));
  site.drain(60s);
  idle.read_to_end();
  EXPECT_TRUE(eventually([&] { return site.metric("avseal_http_connections") == 1; }));
  site.open_gate();
  const std::string answer = busy.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_TRUE(eventually([&] { return site.drained == 1; }));
}

}  // namespace
}  // namespace avseal::http
