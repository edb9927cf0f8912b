#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <prometheus/registry.h>

#include "http/router.hpp"

namespace avseal::http {

struct ServerConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                // 0: any; see Server::port()
  std::filesystem::path certificate;     // PEM chain, leaf first
  std::filesystem::path private_key;     // the TLS key (not a signing key)
  std::filesystem::path client_anchors;  // `tls` anchors for client certificates; empty: none is asked for
  bool ue_certificates = false;          // the reference XR AS: clients present UE certificates (no TLS client EKU)
  std::size_t max_connections = 2000;
  std::size_t max_connections_per_peer = 512;
  std::uint32_t max_streams = 100;
  std::size_t max_headers = 64;
  std::size_t max_header_bytes = 16 * 1024;
  std::chrono::milliseconds request_deadline{2000};
  std::chrono::milliseconds stream_deadline{600'000};  // routes with streamed bodies
  std::chrono::milliseconds idle_timeout{30'000};
  std::chrono::milliseconds handshake_timeout{5'000};
};

// TLS 1.3 listener with ALPN h2 (nghttp2) and http/1.1 (Beast) on one thread of its own per io_context, each with its
// own acceptor (SO_REUSEPORT when there are several).
class Server {
 public:
  // Routers: one per io_context, in the same order; contexts and routers outlive the server. Error "port-in-use" and
  // friends name address and port.
  static Result<std::unique_ptr<Server>> listen(ServerConfig config, std::vector<boost::asio::io_context*> contexts,
                                                std::vector<const Router*> routers, prometheus::Registry& metrics);
  virtual ~Server() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  // Stops accepting, sends GOAWAY (h2) or Connection: close, lets requests in flight end, then calls done. After
  // `limit` the rest is cut.
  virtual void drain(std::chrono::milliseconds limit, std::function<void()> done) = 0;
};

}  // namespace avseal::http
