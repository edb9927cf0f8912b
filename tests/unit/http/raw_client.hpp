// Blocking clients that can misbehave: bytes over TLS, and HTTP/2 frame by frame.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include "pki.hpp"
#include "tokens/bytes.hpp"

namespace avseal::http::testing {

struct TlsOptions {
  const Identity* identity = nullptr;
  std::string alpn = "h2";  // empty: none
  int max_version = TLS1_3_VERSION;
  int receive_seconds = 10;
};

class TlsClient {
 public:
  TlsClient(std::uint16_t port, const TlsOptions& options);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  // True once the server took our certificate: in TLS 1.3 that shows only on reading.
  [[nodiscard]] std::string alpn() const;
  bool write(std::string_view bytes);
  std::string read_some();  // empty at the end, on an error, or when nothing came in time
  std::string read_to_end();
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
  bool connected_ = false;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

class H2Client {
 public:
  struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers;
    std::string body;
    bool closed = false;
    std::uint32_t error = 0;
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;

  H2Client(std::uint16_t port, const TlsOptions& options);
  ~H2Client() { nghttp2_session_del(session_); }
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;

  // Starts a request. body: given at once; with `end` false the request never ends.
  std::int32_t send(const std::string& method, const std::string& path, const Fields& fields = {},
                    std::optional<std::string> body = {}, bool end = true);
  // A request with `size` bytes of content, made as the window allows.
  std::int32_t send_sized(const std::string& method, const std::string& path, std::uint64_t size);
  void reset(std::int32_t id);
  bool flush();  // writes what nghttp2 has to say; false if the connection is gone
  bool step();   // flush, then read once
  bool run_until(const std::function<bool()>& condition);
  Answer exchange(const std::string& method, const std::string& path, const Fields& fields = {},
                  std::optional<std::string> body = {});

  std::map<std::int32_t, Answer> answers;
  std::optional<std::uint32_t> goaway;
  std::uint64_t body_sent = 0;
  bool hold_window = false;  // never tells the server that we consumed anything
  TlsClient tls;

 private:
  struct Body {
    std::string bytes;
    std::uint64_t size = 0;  // of letters, when bytes is empty
    std::uint64_t offset = 0;
    bool end = true;
  };
  std::int32_t submit(const std::string& method, const std::string& path, const Fields& fields,
                      std::unique_ptr<Body> body);
  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                           nghttp2_data_source* source, void* user);

  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Body>> bodies_;
};

}  // namespace avseal::http::testing
