#include "http/tls_stream.hpp"

#include <cerrno>
#include <new>
#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/err.h>

namespace avseal::http {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using Socket = asio::ip::tcp::socket;

int descriptor_of(BIO* bio) {
  return static_cast<Socket*>(BIO_get_data(bio))->native_handle();
}

// OpenSSL's own socket BIO writes with write(2), whose SIGPIPE would end the process.
int send_some(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(descriptor_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int receive_some(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t received = ::recv(descriptor_of(bio), bytes, static_cast<std::size_t>(size), 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(received);
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "avseal socket");
    if (!made) throw std::bad_alloc();
    BIO_meth_set_write(made, send_some);
    BIO_meth_set_read(made, receive_some);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

}  // namespace

TlsStream::TlsStream(Socket socket, asio::ssl::context& context)
    : socket_(std::move(socket)), ssl_(SSL_new(context.native_handle())) {
  BIO* const bio = BIO_new(socket_method());
  if (!ssl_ || !bio) {
    BIO_free(bio);
    throw std::bad_alloc();
  }
  BIO_set_data(bio, &socket_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
  SSL_set_read_ahead(ssl_.get(), 1);
  SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  error_code ignored;
  socket_.native_non_blocking(true, ignored);
}

TlsStream::Step TlsStream::step(int result, std::size_t size) {
  if (result > 0) return {Want::nothing, {}, size};
  const int failed_errno = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {Want::input, {}, 0};
    case SSL_ERROR_WANT_WRITE:
      return {Want::output, {}, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Want::nothing, asio::error::eof, 0};
    case SSL_ERROR_SYSCALL:
      if (failed_errno == 0) return {Want::nothing, asio::ssl::error::stream_truncated, 0};
      return {Want::nothing, {failed_errno, boost::system::system_category()}, 0};
    default:
      return {Want::nothing, {static_cast<int>(ERR_get_error()), asio::error::get_ssl_category()}, 0};
  }
}

TlsStream::Step TlsStream::read(asio::mutable_buffer buffer) {
  if (buffer.size() == 0) return {};
  ERR_clear_error();
  errno = 0;
  std::size_t size = 0;
  const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
  return step(result, size);
}

TlsStream::Step TlsStream::write(asio::const_buffer buffer) {
  if (buffer.size() == 0) return {};
  ERR_clear_error();
  errno = 0;
  std::size_t size = 0;
  const int result = SSL_write_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
  return step(result, size);
}

asio::awaitable<error_code> TlsStream::repeat(int (*call)(SSL*)) {
  while (true) {
    ERR_clear_error();
    errno = 0;
    const Step tried = step(call(ssl_.get()), 0);
    if (tried.want == Want::nothing) co_return tried.error;
    const auto wait = tried.want == Want::input ? Socket::wait_read : Socket::wait_write;
    error_code failed;
    co_await socket_.async_wait(wait, asio::redirect_error(asio::use_awaitable, failed));
    if (failed) co_return failed;
  }
}

asio::awaitable<error_code> TlsStream::handshake() {
  return repeat(SSL_do_handshake);
}

asio::awaitable<error_code> TlsStream::shutdown() {
  return repeat([](SSL* ssl) {
    const int sent = SSL_shutdown(ssl);
    return sent == 0 ? SSL_shutdown(ssl) : sent;
  });
}

}  // namespace avseal::http
