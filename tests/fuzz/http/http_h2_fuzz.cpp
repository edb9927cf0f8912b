// Anything a client may send after the handshake, through the real session, router and handlers; the answers go to a
// socket that is not connected.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "http/h2_session.hpp"

namespace asio = boost::asio;
using namespace avseal;

namespace {

asio::awaitable<Result<http::Response>> echo(http::Request& request) {
  co_return http::Response::text(200, "text/plain", request.body);
}

asio::awaitable<Result<http::Response>> count(http::Request& request) {
  std::size_t size = 0;
  while (true) {
    const Result<Bytes> piece = co_await request.stream->read();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return http::Response::text(200, "text/plain", std::to_string(size));
    size += piece->size();
  }
}

http::Router make_router(std::shared_ptr<const http::ClientTable> clients) {
  http::Router router(std::move(clients), {});
  router.add({http::Method::post, "/a/{b}", {}, http::BodyMode::complete, {}, 1000, {}, "echo", echo});
  router.add({http::Method::put, "/c", {}, http::BodyMode::stream, {}, 1000, {}, "count", count});
  return router;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const http::Router router = make_router(*http::ClientTable::create({}));
  static prometheus::Registry registry;
  static asio::ssl::context tls(asio::ssl::context::tls_server);
  asio::io_context context;
  const auto site = std::make_shared<http::Site>(http::ServerConfig{}, router, registry);
  const auto session = std::make_shared<http::H2Session>(
      std::make_unique<http::TlsStream>(boost::asio::ip::tcp::socket(context), tls), http::Peer{}, site);
  if (!session->start()) return 0;
  constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  session->receive(as_bytes({preface.data(), 33}));
  session->receive({data, size});
  context.poll();
  session->abort();
  context.poll();
  return 0;
}
