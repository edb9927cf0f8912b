#pragma once

#include <list>
#include <mutex>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "http/session.hpp"

namespace avseal::http {

// Open connections of all io_contexts together. Any thread.
class ConnectionLimits {
 public:
  ConnectionLimits(std::size_t total, std::size_t per_peer) : max_total_(total), max_per_peer_(per_peer) {}
  // The reason why a connection from `address` is refused, or empty: then release() is due when it ends.
  std::string_view acquire(const std::string& address);
  void release(const std::string& address);

 private:
  const std::size_t max_total_;
  const std::size_t max_per_peer_;
  std::mutex mutex_;
  std::size_t total_ = 0;
  std::unordered_map<std::string, std::size_t> per_peer_;
};

// The acceptor and the connections of one io_context.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(boost::asio::io_context& context, boost::asio::ip::tcp::acceptor acceptor,
           std::shared_ptr<boost::asio::ssl::context> tls, std::shared_ptr<Site> site,
           std::shared_ptr<ConnectionLimits> limits);

  [[nodiscard]] boost::asio::io_context& context() { return context_; }
  boost::asio::awaitable<void> accept();
  // These three run on the context's thread.
  void drain(std::chrono::milliseconds limit, std::function<void()> done);
  void stop();

 private:
  class Place;
  void take(boost::asio::ip::tcp::socket socket);
  boost::asio::awaitable<void> serve(std::shared_ptr<Place> place, std::unique_ptr<TlsStream> stream);
  boost::asio::awaitable<bool> handshake(TlsStream& stream);
  // Takes no more connections and ends those in their handshake; gives the sessions that are left.
  std::vector<std::shared_ptr<Session>> close();
  void left();

  boost::asio::io_context& context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  std::shared_ptr<Site> site_;
  std::shared_ptr<ConnectionLimits> limits_;
  std::list<std::weak_ptr<Place>> places_;
  boost::asio::steady_timer drain_timer_;
  std::function<void()> drained_;
  bool stopped_ = false;
};

}  // namespace avseal::http
