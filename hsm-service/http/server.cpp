#include "http/server.hpp"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "http/listener.hpp"
#include "http/tls.hpp"

namespace avseal::http {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

Error listen_error(const tcp::endpoint& endpoint, const boost::system::error_code& failed) {
  const std::string where = fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
  if (failed == asio::error::address_in_use) {
    return errors::make(Category::invalid, "port-in-use",
                        fmt::format("{} is in use by another program: choose another port or stop it", where));
  }
  if (failed == asio::error::access_denied) {
    return errors::make(Category::invalid, "port-not-allowed",
                        fmt::format("may not listen on {}: ports below 1024 need CAP_NET_BIND_SERVICE", where));
  }
  return errors::make(Category::invalid, "listen-failed",
                      fmt::format("cannot listen on {}: {}", where, failed.message()));
}

Result<tcp::acceptor> bind_acceptor(asio::io_context& context, const tcp::endpoint& endpoint, bool shared) {
  tcp::acceptor acceptor(context);
  boost::system::error_code failed;
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed && shared) acceptor.set_option(ReusePort(true), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  if (failed) return listen_error(endpoint, failed);
  return acceptor;
}

Result<tcp::acceptor> open_acceptor(asio::io_context& context, const tcp::endpoint& endpoint, bool shared) {
  AVSEAL_TRY(tcp::acceptor acceptor, bind_acceptor(context, endpoint, shared));
  boost::system::error_code failed;
  acceptor.listen(tcp::acceptor::max_listen_connections, failed);
  if (failed) return listen_error(endpoint, failed);
  return acceptor;
}

class TlsServer final : public Server {
 public:
  TlsServer(std::vector<std::shared_ptr<Listener>> listeners, std::uint16_t port)
      : listeners_(std::move(listeners)), port_(port) {}
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer() override {
    for (const auto& listener : listeners_) {
      asio::post(listener->context(), [listener] { listener->stop(); });
    }
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

  void drain(std::chrono::milliseconds limit, std::function<void()> done) override {
    const auto left = std::make_shared<std::atomic<std::size_t>>(listeners_.size());
    for (const auto& listener : listeners_) {
      asio::post(listener->context(), [listener, limit, left, done] {
        listener->drain(limit, [left, done] {
          if (left->fetch_sub(1) == 1) done();
        });
      });
    }
  }

 private:
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::uint16_t port_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerConfig config, std::vector<asio::io_context*> contexts,
                                               std::vector<const Router*> routers, prometheus::Registry& metrics) {
  if (contexts.empty() || contexts.size() != routers.size()) {
    return errors::make(Category::internal, "listen-failed", "one router is needed for each io_context");
  }
  boost::system::error_code failed;
  const auto address = asio::ip::make_address(config.address, failed);
  if (failed)
    return errors::make(Category::invalid, "listen-failed",
                        fmt::format("'{}' is no IP address to listen on", config.address));
  tcp::endpoint endpoint(address, config.port);
  const bool shared = contexts.size() > 1;
  if (shared && config.port != 0) {
    // With SO_REUSEPORT alone, another instance of ours would go unnoticed. Bound only: a connection taken here would
    // keep the port from the acceptors.
    AVSEAL_TRY(const tcp::acceptor probe, bind_acceptor(*contexts.front(), endpoint, false));
  }
  AVSEAL_TRY(auto tls, make_server_tls(config));
  const auto context = std::make_shared<asio::ssl::context>(std::move(tls));
  const auto limits = std::make_shared<ConnectionLimits>(config.max_connections, config.max_connections_per_peer);
  std::vector<std::shared_ptr<Listener>> listeners;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    AVSEAL_TRY(tcp::acceptor acceptor, open_acceptor(*contexts[i], endpoint, shared));
    endpoint = acceptor.local_endpoint(failed);
    if (failed) return listen_error(endpoint, failed);
    const auto site = std::make_shared<Site>(config, *routers[i], metrics);
    listeners.push_back(std::make_shared<Listener>(*contexts[i], std::move(acceptor), context, site, limits));
  }
  for (const auto& listener : listeners) {
    asio::co_spawn(listener->context(), listener->accept(), asio::detached);
  }
  return std::unique_ptr<Server>(std::make_unique<TlsServer>(std::move(listeners), endpoint.port()));
}

}  // namespace avseal::http
