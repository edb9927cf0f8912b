#include "http/client.hpp"

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include "http/tls.hpp"

namespace avseal::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

namespace {

constexpr std::size_t max_error_body = 16 * 1024;
constexpr std::uint32_t max_response_head = 16 * 1024;

struct Place {
  std::string host;       // name or address, without brackets
  std::string authority;  // as the Host header writes it
  std::string port;
  std::string target;
  bool literal = false;
};

Error fetch_error(Category category, std::string_view reason, const std::string& url, const std::string& why) {
  return errors::make(category, reason, fmt::format("{}: {}", url, why));
}

Result<Place> parse_url(const std::string& text) {
  const auto bad = [&](const char* why) { return fetch_error(Category::invalid, "fetch-failed", text, why); };
  const auto url = boost::urls::parse_uri(text);
  if (!url) return bad("not a URL");
  if (url->scheme_id() != boost::urls::scheme::https) return bad("expected an https URL");
  if (url->has_userinfo() || url->has_fragment() || url->host().empty())
    return bad("expected a host, no user and no fragment");
  Place place;
  place.host = url->host_address();
  place.literal = url->host_type() == boost::urls::host_type::ipv4 || url->host_type() == boost::urls::host_type::ipv6;
  place.authority = std::string(url->encoded_host_and_port().data(), url->encoded_host_and_port().size());
  place.port = url->has_port() ? std::string(url->port()) : "443";
  place.target = std::string(url->encoded_target());
  if (place.target.empty()) place.target = "/";
  if (place.target.front() == '?') place.target.insert(0, "/");
  return place;
}

// One exchange. Its timer ends whatever is under way, so it outlives every operation.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(const asio::any_io_executor& executor, const ClientConfig& config, std::string url, asio::ssl::context tls)
      : config_(config),
        url_(std::move(url)),
        tls_(std::move(tls)),
        resolver_(executor),
        stream_(executor, tls_),
        timer_(executor) {}

  asio::awaitable<Result<ClientResponse>> run(Place place, Method method, Headers headers, std::string body,
                                              std::function<Result<void>(ByteView)> sink) {
    start_timer();
    Result<ClientResponse> result = co_await exchange(place, method, headers, body, sink);
    timer_.cancel();
    boost::system::error_code ignored;
    stream_.next_layer().close(ignored);
    co_return result;
  }

 private:
  void start_timer() {
    timer_.expires_after(config_.timeout);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
      const auto self = weak.lock();
      if (!self || cancelled) return;
      self->late_ = true;
      self->resolver_.cancel();
      boost::system::error_code ignored;
      self->stream_.next_layer().close(ignored);
    });
  }

  Error failure(std::string_view reason, const std::string& why) const {
    if (!late_) return fetch_error(Category::unavailable, reason, url_, why);
    return fetch_error(Category::timeout, "fetch-timeout", url_,
                       fmt::format("no complete answer within {} ms", config_.timeout.count()));
  }

  asio::awaitable<Result<ClientResponse>> exchange(const Place& place, Method method, const Headers& headers,
                                                   const std::string& body,
                                                   const std::function<Result<void>(ByteView)>& sink) {
    AVSEAL_CO_CHECK(co_await connect(place));
    AVSEAL_CO_CHECK(co_await handshake(place));
    AVSEAL_CO_CHECK(co_await send(place, method, headers, body));
    co_return co_await receive(method, sink);
  }

  asio::awaitable<Result<void>> connect(const Place& place) {
    boost::system::error_code failed;
    const auto found =
        co_await resolver_.async_resolve(place.host, place.port, asio::redirect_error(asio::use_awaitable, failed));
    if (failed || late_) co_return failure("fetch-failed", "cannot resolve the host: " + failed.message());
    bool any_allowed = false;
    for (const auto& entry : found) {
      const tcp::endpoint endpoint = entry.endpoint();
      if (config_.address_allowed && !config_.address_allowed(endpoint.address())) continue;
      any_allowed = true;
      boost::system::error_code ignored;
      stream_.next_layer().close(ignored);
      co_await stream_.next_layer().async_connect(endpoint, asio::redirect_error(asio::use_awaitable, failed));
      if (!failed && !late_) co_return Result<void>();
      if (late_) break;
    }
    if (!any_allowed)
      co_return fetch_error(Category::forbidden, "fetch-refused-address", url_,
                            "the host has no address that may be connected to");
    co_return failure("fetch-failed", "cannot connect: " + failed.message());
  }

  asio::awaitable<Result<void>> handshake(const Place& place) {
    SSL* native = stream_.native_handle();
    constexpr std::string_view alpn = "\x08http/1.1";
    SSL_set_alpn_protos(native, reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
    const bool named = place.literal ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(native), place.host.c_str()) == 1
                                     : SSL_set1_host(native, place.host.c_str()) == 1 &&
                                           SSL_set_tlsext_host_name(native, place.host.c_str()) == 1;
    if (!named) co_return failure("fetch-tls", "the host name cannot be verified");
    boost::system::error_code failed;
    co_await stream_.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, failed));
    if (!failed) co_return Result<void>();
    const long verdict = SSL_get_verify_result(native);
    co_return failure("fetch-tls", verdict == X509_V_OK ? failed.message() : X509_verify_cert_error_string(verdict));
  }

  asio::awaitable<Result<void>> send(const Place& place, Method method, const Headers& headers,
                                     const std::string& body) {
    const std::string_view verb = to_string(method);
    beast::http::request<beast::http::string_body> request;
    request.version(11);
    request.method_string(beast::string_view(verb.data(), verb.size()));
    request.target(place.target);
    request.set(beast::http::field::host, place.authority);
    request.keep_alive(false);
    for (const auto& [name, value] : headers) request.set(name, value);
    request.body() = body;
    if (!body.empty() || method == Method::put || method == Method::post) request.content_length(body.size());
    boost::system::error_code failed;
    co_await beast::http::async_write(stream_, request, asio::redirect_error(asio::use_awaitable, failed));
    // A server that refuses early answers before it took everything: the answer decides.
    if (failed && late_) co_return failure("fetch-failed", failed.message());
    co_return Result<void>();
  }

  asio::awaitable<Result<ClientResponse>> receive(Method method, const std::function<Result<void>(ByteView)>& sink) {
    beast::flat_buffer buffer;
    beast::http::response_parser<beast::http::buffer_body> parser;
    parser.header_limit(max_response_head);
    parser.body_limit(boost::none);
    parser.skip(method == Method::head);
    boost::system::error_code failed;
    do {
      co_await beast::http::async_read_header(stream_, buffer, parser,
                                              asio::redirect_error(asio::use_awaitable, failed));
      if (failed)
        co_return failure(failed.category() == asio::error::get_ssl_category() ? "fetch-tls" : "fetch-failed",
                          failed.message());
    } while (parser.get().result_int() < 200);
    ClientResponse response;
    response.status = parser.get().result_int();
    for (const auto& field : parser.get()) {
      response.headers.emplace_back(boost::algorithm::to_lower_copy(std::string(field.name_string())),
                                    std::string(field.value()));
    }
    if (X509* native = SSL_get0_peer_certificate(stream_.native_handle())) {
      auto certificate = tokens::Certificate::from_native(native);
      if (certificate) response.peer = std::move(*certificate);
    }
    const bool to_sink = sink && response.status / 100 == 2;
    std::uint64_t left =
        to_sink ? config_.max_body : std::max(config_.max_body, sink ? max_error_body : std::size_t{0});
    Bytes piece(16 * 1024);
    while (!parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      co_await beast::http::async_read_some(stream_, buffer, parser, asio::redirect_error(asio::use_awaitable, failed));
      if (failed && failed != beast::http::error::need_buffer) co_return failure("fetch-failed", failed.message());
      const std::size_t size = piece.size() - parser.get().body().size;
      if (size > left)
        co_return fetch_error(Category::unavailable, "fetch-too-large", url_,
                              fmt::format("more than {} bytes", config_.max_body));
      left -= size;
      const ByteView bytes(piece.data(), size);
      if (!to_sink) {
        response.body.append(as_text(bytes));
      } else if (size > 0) {
        AVSEAL_CO_CHECK(sink(bytes));
      }
    }
    co_return response;
  }

  const ClientConfig config_;
  const std::string url_;
  asio::ssl::context tls_;
  tcp::resolver resolver_;
  asio::ssl::stream<tcp::socket> stream_;
  asio::steady_timer timer_;
  bool late_ = false;
};

asio::awaitable<Result<ClientResponse>> start(const ClientConfig& config, Method method, std::string url,
                                              Headers headers, std::string body,
                                              std::function<Result<void>(ByteView)> sink) {
  const auto executor = co_await asio::this_coro::executor;
  AVSEAL_CO_TRY(Place place, parse_url(url));
  auto tls = make_client_tls(config);
  if (!tls) co_return fetch_error(Category::invalid, "fetch-tls", url, tls.error().detail);
  const auto exchange = std::make_shared<Exchange>(executor, config, std::move(url), std::move(*tls));
  co_return co_await exchange->run(std::move(place), method, std::move(headers), std::move(body), std::move(sink));
}

}  // namespace

std::optional<std::string_view> ClientResponse::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_name) return value;
  }
  return std::nullopt;
}

asio::awaitable<Result<ClientResponse>> fetch(const ClientConfig& config, Method method, std::string url,
                                              Headers headers, std::string body) {
  return start(config, method, std::move(url), std::move(headers), std::move(body), nullptr);
}

asio::awaitable<Result<ClientResponse>> fetch_to(const ClientConfig& config, std::string url, Headers headers,
                                                 std::function<Result<void>(ByteView)> sink) {
  return start(config, Method::get, std::move(url), std::move(headers), {}, std::move(sink));
}

}  // namespace avseal::http
