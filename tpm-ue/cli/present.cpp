#include "tpm-ue/cli/present.hpp"

#include <charconv>
#include <memory>
#include <sys/socket.h>
#include <sys/time.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include "tokens/openssl.hpp"

namespace avseal::ue {
namespace {

using SslContext = std::unique_ptr<SSL_CTX, tokens::ssl::Free<SSL_CTX_free>>;

constexpr std::size_t max_answer = 64 * 1024;
constexpr timeval time_limit{30, 0};  // of each read and write

Error failed(const std::string& url, std::string_view what) {
  char text[256] = "";
  if (const unsigned long code = ERR_peek_last_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  return errors::make(Category::unavailable, "present-failed", fmt::format("{}: {} {}", url, what, text));
}

struct Target {
  std::string host;
  std::string port;
  std::string path;
};

Result<Target> parse_target(const std::string& url) {
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || parsed->scheme() != "https" || parsed->host().empty() || parsed->has_userinfo()) {
    return errors::make(Category::invalid, "present-url", "expected https://host[:port]/path, found " + url);
  }
  Target target{parsed->host(), parsed->has_port() ? std::string(parsed->port()) : "443",
                std::string(parsed->encoded_path())};
  if (target.path.empty()) target.path = "/";
  return target;
}

Result<Answer> parse_answer(const std::string& url, const std::string& text) {
  Answer answer;
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos || !text.starts_with("HTTP/1.1 ") || text.size() < 12)
    return failed(url, "no HTTP/1.1 answer");
  const auto [rest, error] = std::from_chars(text.data() + 9, text.data() + 12, answer.status);
  if (error != std::errc{} || rest != text.data() + 12) return failed(url, "no status in the answer");
  answer.body = text.substr(end + 4);
  return answer;
}

Result<std::string> exchange(const std::string& url, BIO* connection, const std::string& request) {
  if (BIO_write(connection, request.data(), static_cast<int>(request.size())) != static_cast<int>(request.size())) {
    return failed(url, "the request cannot be sent:");
  }
  std::string text;
  char buffer[4096];
  for (int got = 0; (got = BIO_read(connection, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > max_answer) return failed(url, "an answer above 64 KiB");
  }
  if (text.empty()) return failed(url, "no answer:");
  return text;
}

}  // namespace

Result<Answer> present(device::Device& device, const Presentation& presentation) {
  const auto& url = presentation.url;
  AVSEAL_TRY(const Target target, parse_target(url));
  const tokens::ssl::ErrorMark mark;
  const SslContext context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_load_verify_locations(context.get(), presentation.anchors.c_str(), nullptr) != 1) {
    return failed(url, presentation.anchors.string() + " has no usable CA certificates:");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  AVSEAL_CHECK(device.authenticate_tls(*context));

  const tokens::ssl::Bio connection(BIO_new_ssl_connect(context.get()));
  SSL* tls = nullptr;
  if (connection) BIO_get_ssl(connection.get(), &tls);
  if (tls == nullptr) return failed(url, "no connection object");
  SSL_set_tlsext_host_name(tls, target.host.c_str());
  if (SSL_set1_host(tls, target.host.c_str()) != 1) return failed(url, "the host name is refused");
  BIO_set_conn_hostname(connection.get(), target.host.c_str());
  BIO_set_conn_port(connection.get(), target.port.c_str());
  if (BIO_do_connect(connection.get()) != 1) return failed(url, "cannot connect:");
  int descriptor = -1;
  BIO_get_fd(connection.get(), &descriptor);
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time_limit, sizeof time_limit);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time_limit, sizeof time_limit);

  const std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: "
      "close\r\n\r\n{}",
      target.path, target.host, target.port, presentation.body.size(), presentation.body);
  AVSEAL_TRY(const std::string text, exchange(url, connection.get(), request));
  return parse_answer(url, text);
}

}  // namespace avseal::ue
