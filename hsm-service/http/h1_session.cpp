// HTTP/1.1 (RFC 9112) with Beast's parser and serializer: one request after another.
#include <array>

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "http/errors.hpp"
#include "http/session.hpp"
#include "http/target.hpp"

namespace avseal::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t piece_size = 16 * 1024;

using Parser = beast::http::request_parser<beast::http::buffer_body>;

class H1Session final : public Session, public std::enable_shared_from_this<H1Session> {
 public:
  H1Session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site)
      : tls_(std::move(stream)), peer_(std::move(peer)), site_(std::move(site)), timer_(tls_->get_executor()) {}

  asio::awaitable<void> run() override;
  void drain() override;
  void abort() override;
  // The next piece of the current request's body; empty at its end.
  asio::awaitable<Result<Bytes>> read_body();

 private:
  asio::awaitable<bool> read_message_head(std::optional<Error>& error);
  asio::awaitable<Result<void>> read_request(Request& request);
  asio::awaitable<Result<void>> write_continue();
  asio::awaitable<Result<void>> read_complete(Request& request, std::uint64_t limit);
  Result<void> take_head(Request& request);
  Result<void> check_length(const Route& route, const Request& request, bool& has_body) const;
  asio::awaitable<bool> write(const Request& request, Response response, bool keep);
  asio::awaitable<bool> write_stream(Response& response);
  asio::awaitable<void> linger();
  void arm(Deadline until);

  std::unique_ptr<TlsStream> tls_;
  Peer peer_;
  std::shared_ptr<Site> site_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  bool expects_continue_ = false;  // the peer sends its body when told to
  Deadline body_until_ = Deadline::max();
  bool late_ = false;
  bool reading_ = false;  // a body is being read
  bool over_ = false;     // no handler may read any more
  bool waiting_ = false;  // between two requests
  bool draining_ = false;
  bool closed_ = false;
};

// A body whose bytes are read from the connection as the handler asks for them.
class H1Body final : public BodyReader {
 public:
  H1Body(std::shared_ptr<H1Session> session, std::uint64_t limit) : session_(std::move(session)), limit_(limit) {}
  asio::awaitable<Result<Bytes>> read() override {
    Result<Bytes> piece = co_await session_->read_body();
    if (!piece) co_return piece.error();
    size_ += piece->size();
    if (size_ > limit_) co_return errors::body_too_large(limit_);
    co_return piece;
  }

 private:
  std::shared_ptr<H1Session> session_;
  std::uint64_t limit_;
  std::uint64_t size_ = 0;
};

void H1Session::arm(Deadline until) {
  late_ = false;
  timer_.expires_at(until);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
    const auto self = weak.lock();
    if (!self || cancelled || self->closed_) return;
    self->late_ = true;
    boost::system::error_code ignored;
    self->tls_->next_layer().cancel(ignored);
  });
}

void H1Session::drain() {
  draining_ = true;
  if (waiting_) abort();
}

void H1Session::abort() {
  if (closed_) return;
  closed_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  tls_->next_layer().close(ignored);
}

// False: the connection ended or idled away between requests. `error` is set for a message that deserves an answer.
asio::awaitable<bool> H1Session::read_message_head(std::optional<Error>& error) {
  boost::system::error_code failed;
  if (buffer_.size() == 0) {
    waiting_ = true;
    arm(steady_clock::now() + site_->config.idle_timeout);
    const auto room = buffer_.prepare(piece_size);
    const std::size_t size = co_await tls_->async_read_some(room, asio::redirect_error(asio::use_awaitable, failed));
    waiting_ = false;
    if (failed && late_) site_->metrics.refused("idle");
    if (failed || closed_) co_return false;
    buffer_.commit(size);
  }
  arm(steady_clock::now() + site_->config.request_deadline);
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(site_->config.max_header_bytes));
  parser_->body_limit(boost::none);
  co_await beast::http::async_read_header(*tls_, buffer_, *parser_, asio::redirect_error(asio::use_awaitable, failed));
  if (!failed) co_return true;
  if (closed_) co_return false;
  if (late_) {
    error = errors::make(Category::timeout, "head-late", "the request's header did not arrive in time");
  } else if (failed == beast::http::error::header_limit) {
    error = errors::header_list_too_large(site_->config.max_header_bytes);
  } else if (failed.category() == beast::http::make_error_code(beast::http::error::bad_method).category() &&
             failed != beast::http::error::end_of_stream && failed != beast::http::error::partial_message) {
    error = errors::message_malformed("expected an HTTP/1.1 request: " + failed.message());
  }
  co_return error.has_value();
}

Result<void> H1Session::take_head(Request& request) {
  const auto& head = parser_->get();
  std::size_t count = 0;
  for (const auto& field : head) {
    if (++count > site_->config.max_headers) return errors::too_many_headers(site_->config.max_headers);
    const auto name = field.name_string();
    const auto value = field.value();
    request.headers.emplace_back(boost::algorithm::to_lower_copy(std::string(name.data(), name.size())),
                                 std::string(value.data(), value.size()));
  }
  const auto method = head.method_string();
  const auto target = head.target();
  AVSEAL_CHECK(read_head(request, std::string_view(method.data(), method.size()),
                         std::string_view(target.data(), target.size())));
  if (head.version() != 11) return errors::message_malformed("expected HTTP/1.1");
  if (!request.header("host")) return errors::message_malformed("expected a Host header");
  if (request.header("transfer-encoding") && request.header("content-length")) {
    return errors::message_malformed("Transfer-Encoding and Content-Length exclude each other");
  }
  return {};
}

Result<void> H1Session::check_length(const Route& route, const Request& request, bool& has_body) const {
  AVSEAL_TRY(const auto length, content_length(request));
  has_body = parser_->chunked() || length.value_or(0) > 0;
  if (!has_body) return {};
  if (route.body == BodyMode::none) return errors::body_unexpected();
  if (length && *length > route.max_body) return errors::body_too_large(route.max_body);
  return {};
}

asio::awaitable<Result<void>> H1Session::read_request(Request& request) {
  AVSEAL_CO_CHECK(take_head(request));
  const auto route = site_->router.match(request);
  if (!route) co_return route.error();
  const Route& r = **route;
  bool has_body = false;
  AVSEAL_CO_CHECK(check_length(r, request, has_body));
  if (r.body == BodyMode::stream) request.deadline += site_->config.stream_deadline - site_->config.request_deadline;
  body_until_ = request.deadline;
  expects_continue_ = has_body && request.header("expect").has_value();
  if (r.body == BodyMode::complete) co_return co_await read_complete(request, r.max_body);
  if (r.body == BodyMode::stream) {
    request.stream_owner = std::make_shared<H1Body>(shared_from_this(), r.max_body);
    request.stream = request.stream_owner.get();
  }
  co_return Result<void>();
}

asio::awaitable<Result<void>> H1Session::read_complete(Request& request, std::uint64_t limit) {
  while (true) {
    const Result<Bytes> piece = co_await read_body();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return Result<void>();
    if (piece->size() > limit - request.body.size()) co_return errors::body_too_large(limit);
    request.body.append(as_text(*piece));
  }
}

asio::awaitable<Result<void>> H1Session::write_continue() {
  constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  boost::system::error_code failed;
  arm(std::min(body_until_, steady_clock::now() + site_->config.idle_timeout));
  co_await asio::async_write(*tls_, asio::buffer(go_on), asio::redirect_error(asio::use_awaitable, failed));
  if (failed) co_return errors::body_truncated();
  co_return Result<void>();
}

asio::awaitable<Result<Bytes>> H1Session::read_body() {
  const auto self = shared_from_this();
  if (over_ || closed_ || reading_) co_return errors::body_truncated();
  if (std::exchange(expects_continue_, false)) AVSEAL_CO_CHECK(co_await write_continue());
  Bytes piece(piece_size);
  std::size_t size = 0;
  while (size == 0 && !parser_->is_done()) {
    auto& body = parser_->get().body();
    body.data = piece.data();
    body.size = piece.size();
    boost::system::error_code failed;
    arm(std::min(body_until_, steady_clock::now() + site_->config.idle_timeout));
    reading_ = true;
    co_await beast::http::async_read_some(*tls_, buffer_, *parser_, asio::redirect_error(asio::use_awaitable, failed));
    reading_ = false;
    if (late_) co_return errors::body_late();
    if (failed && failed != beast::http::error::need_buffer) co_return errors::body_truncated();
    if (over_ || closed_) co_return errors::body_truncated();
    size = piece.size() - parser_->get().body().size;
  }
  piece.resize(size);
  co_return piece;
}

asio::awaitable<bool> H1Session::write(const Request& request, Response response, bool keep) {
  if (!writable(response) || response.status < 200 || response.status > 599) response = Response::empty(500);
  const bool streamed = response.stream != nullptr;
  const bool head = request.method == Method::head;
  arm(steady_clock::now() + (streamed ? site_->config.stream_deadline : site_->config.idle_timeout));
  beast::http::response<beast::http::string_body> message;
  message.version(11);
  message.result(response.status);
  message.keep_alive(keep);
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  if (response.status != 204 && response.status != 304) {
    message.content_length(streamed ? response.stream_size : response.body.size());
  }
  const bool bodiless = head || response.status == 204 || response.status == 304;
  if (!streamed && !bodiless) message.body() = std::move(response.body);
  beast::http::response_serializer<beast::http::string_body> serializer(message);
  boost::system::error_code failed;
  if (streamed) {
    co_await beast::http::async_write_header(*tls_, serializer, asio::redirect_error(asio::use_awaitable, failed));
  } else {
    co_await beast::http::async_write(*tls_, serializer, asio::redirect_error(asio::use_awaitable, failed));
  }
  if (failed && late_) site_->metrics.refused("answer-not-taken");
  if (failed) co_return false;
  if (!streamed || bodiless) co_return true;
  co_return co_await write_stream(response);
}

asio::awaitable<bool> H1Session::write_stream(Response& response) {
  std::uint64_t left = response.stream_size;
  while (left > 0) {
    Result<Bytes> piece = Bytes{};
    try {
      piece = co_await response.stream->next();
    } catch (const std::exception&) {
      piece = Bytes{};
    }
    if (!piece || piece->empty() || piece->size() > left) {
      site_->metrics.refused("answer-broken");
      co_return false;
    }
    left -= piece->size();
    boost::system::error_code failed;
    co_await asio::async_write(*tls_, asio::buffer(*piece), asio::redirect_error(asio::use_awaitable, failed));
    if (failed && late_) site_->metrics.refused("answer-not-taken");
    if (failed) co_return false;
  }
  co_return true;
}

// Ends the connection so that an answer already sent is not lost to a reset: half-closes, and discards some of what the
// peer still sends. The rest is left unread, which stops the peer, until it ends the connection or time is up.
asio::awaitable<void> H1Session::linger() {
  if (closed_ || reading_) co_return;
  arm(steady_clock::now() + linger_time);
  boost::system::error_code failed = co_await tls_->shutdown();
  if (closed_ || late_) co_return;
  auto& socket = tls_->next_layer();
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, failed);
  Bytes scratch(piece_size);
  std::size_t discarded = 0;
  while (!failed && !late_ && !closed_ && discarded < discard_limit) {
    discarded +=
        co_await socket.async_read_some(asio::buffer(scratch), asio::redirect_error(asio::use_awaitable, failed));
  }
  if (failed || late_ || closed_) co_return;
  co_await socket.async_wait(asio::ip::tcp::socket::wait_error, asio::redirect_error(asio::use_awaitable, failed));
}

asio::awaitable<void> H1Session::run() {
  const auto self = shared_from_this();
  bool keep = true;
  while (keep && !closed_ && !draining_) {
    std::optional<Error> error;
    const bool arrived = co_await read_message_head(error);
    if (!arrived) break;
    const auto begun = steady_clock::now();
    Request request;
    request.peer = peer_.certificate;
    request.peer_address = peer_.address;
    request.deadline = begun + site_->config.request_deadline;
    if (error) {
      const Result<void> unused = read_head(request, "GET", "/");
      if (!unused) break;
    } else {
      const Result<void> read = co_await read_request(request);
      if (!read) error = read.error();
    }
    over_ = false;
    Response response;
    if (error) {
      response = co_await site_->router.refuse(request.route, request, *error);
    } else {
      timer_.cancel();
      response = co_await site_->router.run(*request.route, request);
    }
    over_ = true;
    timer_.cancel();
    if (reading_) {
      boost::system::error_code ignored;
      tls_->next_layer().cancel(ignored);
    }
    if (!request.refusal.empty()) site_->metrics.refused(request.refusal);
    site_->metrics.answered(request.route, response.status, steady_clock::now() - begun);
    if (closed_) break;
    const bool malformed =
        error && (error->category == Category::bad_request || error->category == Category::header_too_large);
    keep = parser_->is_done() && parser_->keep_alive() && !draining_ && !malformed;
    keep = co_await write(request, std::move(response), keep) && keep;
    over_ = !keep;
  }
  if (!waiting_) co_await linger();
  abort();
}

}  // namespace

std::shared_ptr<Session> make_h1_session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site) {
  return std::make_shared<H1Session>(std::move(stream), std::move(peer), std::move(site));
}

}  // namespace avseal::http
