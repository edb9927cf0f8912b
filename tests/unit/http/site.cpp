#include "site.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

namespace avseal::http::testing {

namespace asio = boost::asio;

namespace {

constexpr std::size_t download_piece = 16 * 1024;

// `size` bytes of 'a'; breaks after `whole` of them.
class Letters : public BodySource {
 public:
  Letters(std::uint64_t size, std::uint64_t whole, std::atomic<std::uint64_t>& produced)
      : left_(size), whole_(whole), produced_(produced) {}
  asio::awaitable<Result<Bytes>> next() override {
    if (whole_ == 0 && left_ > 0) co_return errors::make(Category::internal, "source-broken", "no more");
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>({left_, whole_, download_piece}));
    left_ -= size;
    whole_ -= size;
    produced_ += size;
    Bytes piece(size, 'a');
    co_return piece;
  }

 private:
  std::uint64_t left_;
  std::uint64_t whole_;
  std::atomic<std::uint64_t>& produced_;
};

std::uint64_t number(const Request& request, const std::string& name, std::uint64_t otherwise) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? otherwise : std::stoull(found->second);
}

std::shared_ptr<const ClientTable> make_clients() {
  ClientEntry ims;
  ims.client.id = "ims-1";
  ims.client.role = ClientRole::ims_as;
  ims.san_uri = "urn:uuid:11111111-1111-4111-8111-111111111111";
  ClientEntry auditor;
  auditor.client.id = "auditor-1";
  auditor.client.role = ClientRole::auditor;
  auditor.san_dns = "auditor.example";
  auto table = ClientTable::create({ims, auditor});
  return std::move(table.value());
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

TestSite::TestSite(const std::function<void(ServerConfig&)>& change, std::size_t count) : clients(make_clients()) {
  std::vector<asio::io_context*> raw_contexts;
  std::vector<const Router*> raw_routers;
  for (std::size_t i = 0; i < count; ++i) {
    raw_contexts.push_back(contexts.emplace_back(std::make_unique<asio::io_context>(1)).get());
    const auto sink = [this](const Request&, const Route*, const Error&) -> asio::awaitable<void> {
      ++refused;
      co_return;
    };
    add_routes(routers.emplace_back(clients, sink));
    raw_routers.push_back(&routers.back());
  }
  ServerConfig config;
  config.certificate = server_identity.certificate_file;
  config.private_key = server_identity.key_file;
  config.client_anchors = ca.file();
  if (change) change(config);
  auto listening = Server::listen(config, raw_contexts, raw_routers, registry);
  if (!listening) throw std::runtime_error(listening.error().detail);
  server = std::move(*listening);
  for (const auto& context : contexts) {
    threads.emplace_back([&context] {
      const auto work = asio::make_work_guard(*context);
      context->run();
    });
  }
}

TestSite::~TestSite() {
  server.reset();
  for (const auto& context : contexts) context->stop();
  for (std::thread& thread : threads) thread.join();
  contexts.clear();
}

asio::awaitable<void> TestSite::gate() {
  ++at_gate;
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (!gate_open) {
    pause.expires_after(std::chrono::milliseconds(1));
    co_await pause.async_wait(asio::use_awaitable);
  }
}

void TestSite::open_gate() {
  gate_open = true;
}

void TestSite::add_routes(Router& router) {
  const std::vector<ClientRole> ims_only{ClientRole::ims_as};
  const std::vector<std::string> json{"application/json"};
  const ErrorForm teapot = [](const Request&, const Error& error) {
    return Response::text(418, "text/plain", std::string(error.reason));
  };

  router.add({Method::get,
              "/open",
              {},
              BodyMode::none,
              {},
              0,
              {},
              "open",
              [](Request& request) -> asio::awaitable<Result<Response>> {
                co_return Response::text(200, "text/plain",
                                         request.header("x-echo").value_or("open") == "open"
                                             ? "open"
                                             : std::string(*request.header("x-echo")));
              }});
  router.add({Method::get,
              "/calls/{origid}",
              ims_only,
              BodyMode::none,
              {},
              0,
              {},
              "calls.get",
              [](Request& request) -> asio::awaitable<Result<Response>> {
                co_return Response::text(200, "text/plain",
                                         request.parameters.at("origid") + " of " + request.client->id);
              }});
  router.add({Method::del,
              "/calls/{origid}",
              ims_only,
              BodyMode::none,
              {},
              0,
              {},
              "calls.delete",
              [](Request&) -> asio::awaitable<Result<Response>> { co_return Response::empty(204); }});
  router.add(
      {Method::get,
       "/calls/special",
       {},
       BodyMode::none,
       {},
       0,
       {},
       "calls.special",
       [](Request&) -> asio::awaitable<Result<Response>> { co_return Response::text(200, "text/plain", "special"); }});
  router.add({Method::post,
              "/echo",
              ims_only,
              BodyMode::complete,
              json,
              1024,
              {},
              "echo",
              [](Request& request) -> asio::awaitable<Result<Response>> {
                co_return Response::text(200, "application/json", request.body);
              }});
  router.add({Method::post, "/form", ims_only, BodyMode::complete, json, 1024, teapot, "form",
              [](Request&) -> asio::awaitable<Result<Response>> {
                co_return errors::make(Category::forbidden, "form-refused", "no");
              }});
  router.add(
      {Method::get, "/fail", {}, BodyMode::none, {}, 0, {}, "fail", [](Request&) -> asio::awaitable<Result<Response>> {
         co_return errors::make(Category::unavailable, "store-unavailable", "later", "query a");
       }});
  router.add({Method::get,
              "/throw",
              {},
              BodyMode::none,
              {},
              0,
              {},
              "throw",
              [](Request&) -> asio::awaitable<Result<Response>> {
                throw std::runtime_error("thrown by a test");
                co_return Response::empty(200);
              }});
  router.add({Method::get,
              "/bad-header",
              {},
              BodyMode::none,
              {},
              0,
              {},
              "bad-header",
              [](Request&) -> asio::awaitable<Result<Response>> {
                Response response = Response::empty(200);
                response.set("x-split", "a\r\nset-cookie: b");
                co_return response;
              }});
  router.add({Method::get,
              "/gate",
              {},
              BodyMode::none,
              {},
              0,
              {},
              "gate",
              [this](Request& request) -> asio::awaitable<Result<Response>> {
                co_await gate();
                ++late_ends;
                co_return Response::text(200, "text/plain", request.path);
              }});
  router.add({Method::put,
              "/upload",
              ims_only,
              BodyMode::stream,
              {},
              1ULL << 30,
              {},
              "upload",
              [this](Request& request) -> asio::awaitable<Result<Response>> {
                if (request.query.contains("gate")) co_await gate();
                if (request.query.contains("fail")) co_return errors::make(Category::conflict, "upload-refused", "no");
                std::uint64_t size = 0;
                const std::uint64_t stop = number(request, "stop", ~0ULL);
                while (size < stop) {
                  const Result<Bytes> piece = co_await request.stream->read();
                  if (!piece) co_return piece.error();
                  if (piece->empty()) break;
                  size += piece->size();
                  uploaded += piece->size();
                }
                co_return Response::text(200, "text/plain", std::to_string(size));
              }});
  router.add({Method::put,
              "/small-upload",
              ims_only,
              BodyMode::stream,
              {},
              100'000,
              {},
              "small-upload",
              [](Request& request) -> asio::awaitable<Result<Response>> {
                while (true) {
                  const Result<Bytes> piece = co_await request.stream->read();
                  if (!piece) co_return piece.error();
                  if (piece->empty()) co_return Response::empty(204);
                }
              }});
  router.add({Method::get,
              "/download",
              {},
              BodyMode::none,
              {},
              0,
              {},
              "download",
              [this](Request& request) -> asio::awaitable<Result<Response>> {
                Response response = Response::text(200, "application/octet-stream", {});
                response.stream_size = number(request, "size", 0);
                response.stream =
                    std::make_unique<Letters>(response.stream_size, number(request, "whole", ~0ULL), produced);
                co_return response;
              }});
}

double TestSite::metric(const std::string& name, const std::string& label, const std::string& value) const {
  double sum = 0;
  for (const auto& family : registry.Collect()) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      const bool wanted = label.empty() || std::any_of(metric.label.begin(), metric.label.end(), [&](const auto& l) {
                            return l.name == label && l.value == value;
                          });
      if (wanted) sum += metric.counter.value + metric.gauge.value;
    }
  }
  return sum;
}

std::string TestSite::url(const std::string& target) const {
  return "https://127.0.0.1:" + std::to_string(server->port()) + target;
}

ClientConfig TestSite::client(const Identity* identity) const {
  ClientConfig config;
  config.anchors = ca.file();
  config.timeout = std::chrono::seconds(20);
  if (identity) {
    config.certificate = identity->certificate_file;
    config.private_key = identity->key_file;
  }
  return config;
}

Result<ClientResponse> TestSite::fetch(const ClientConfig& config, Method method, const std::string& target,
                                       Headers headers, std::string body) const {
  asio::io_context context;
  auto answer = asio::co_spawn(context, http::fetch(config, method, url(target), std::move(headers), std::move(body)),
                               asio::use_future);
  context.run();
  return answer.get();
}

void TestSite::drain(std::chrono::milliseconds limit) {
  server->drain(limit, [this] { ++drained; });
}

}  // namespace avseal::http::testing
