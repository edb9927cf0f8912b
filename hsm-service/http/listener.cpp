#include "http/listener.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include "http/tls.hpp"

namespace avseal::http {

namespace asio = boost::asio;
using asio::ip::tcp;

std::string_view ConnectionLimits::acquire(const std::string& address) {
  const std::lock_guard lock(mutex_);
  if (total_ >= max_total_) return "too-many-connections";
  std::size_t& of_peer = per_peer_[address];
  if (of_peer >= max_per_peer_) return "too-many-connections-of-peer";
  ++of_peer;
  ++total_;
  return {};
}

void ConnectionLimits::release(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --total_;
  const auto place = per_peer_.find(address);
  if (--place->second == 0) per_peer_.erase(place);
}

// A connection's entry in the limits and in the listener's list, for as long as it lasts.
class Listener::Place {
 public:
  Place(std::shared_ptr<Listener> listener, std::string address)
      : listener_(std::move(listener)), address_(std::move(address)) {
    listener_->site_->metrics.connections().Increment();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    listener_->site_->metrics.connections().Decrement();
    listener_->limits_->release(address_);
    listener_->places_.erase(self);
    listener_->left();
  }

  std::list<std::weak_ptr<Place>>::iterator self;
  std::weak_ptr<Session> session;
  tcp::socket* handshaking = nullptr;
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  std::shared_ptr<Listener> listener_;
  std::string address_;
};

Listener::Listener(asio::io_context& context, tcp::acceptor acceptor, std::shared_ptr<asio::ssl::context> tls,
                   std::shared_ptr<Site> site, std::shared_ptr<ConnectionLimits> limits)
    : context_(context),
      acceptor_(std::move(acceptor)),
      tls_(std::move(tls)),
      site_(std::move(site)),
      limits_(std::move(limits)),
      drain_timer_(context) {}

asio::awaitable<void> Listener::accept() {
  const auto self = shared_from_this();
  asio::steady_timer pause(context_);
  while (!stopped_) {
    boost::system::error_code failed;
    tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, failed));
    if (stopped_ || failed == asio::error::operation_aborted) break;
    if (!failed) {
      take(std::move(socket));
      continue;
    }
    // Out of descriptors or memory, or a peer that left early: the backlog waits.
    site_->metrics.refused("accept-failed");
    spdlog::warn("accepting a connection failed: {}", failed.message());
    pause.expires_after(std::chrono::milliseconds(50));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failed));
  }
}

void Listener::take(tcp::socket socket) {
  boost::system::error_code failed;
  const auto remote = socket.remote_endpoint(failed);
  if (failed) return;
  std::string address = remote.address().to_string();
  const std::string_view reason = limits_->acquire(address);
  if (!reason.empty()) {
    site_->metrics.refused(reason);
    return;
  }
  socket.set_option(tcp::no_delay(true), failed);
  const auto place = std::make_shared<Place>(shared_from_this(), std::move(address));
  place->self = places_.insert(places_.end(), place);
  auto stream = std::make_unique<TlsStream>(std::move(socket), *tls_);
  asio::co_spawn(context_, serve(place, std::move(stream)), asio::detached);
}

asio::awaitable<bool> Listener::handshake(TlsStream& stream) {
  asio::steady_timer timer(context_, site_->config.handshake_timeout);
  bool late = false;
  timer.async_wait([&stream, &late](boost::system::error_code cancelled) {
    if (cancelled) return;
    late = true;
    boost::system::error_code ignored;
    stream.next_layer().close(ignored);
  });
  const boost::system::error_code failed = co_await stream.handshake();
  // The timer's handler refers to this frame: it runs, cancelled or not, before the frame goes.
  timer.cancel();
  co_await asio::post(context_, asio::use_awaitable);
  if (failed || late) {
    const std::string_view reason = late ? "handshake-late" : handshake_reason(stream.native_handle(), failed);
    site_->metrics.refused(reason);
    spdlog::debug("TLS handshake: {} ({})", reason, failed.message());
  }
  co_return !failed && !late;
}

asio::awaitable<void> Listener::serve(std::shared_ptr<Place> place, std::unique_ptr<TlsStream> stream) {
  place->handshaking = &stream->next_layer();
  const bool agreed = co_await handshake(*stream);
  place->handshaking = nullptr;
  if (!agreed || stopped_) co_return;
  Peer peer{std::nullopt, place->address()};
  if (X509* native = SSL_get0_peer_certificate(stream->native_handle())) {
    auto certificate = tokens::Certificate::from_native(native);
    if (!certificate) {
      site_->metrics.refused("client-certificate-unsupported");
      co_return;
    }
    peer.certificate = std::move(*certificate);
  }
  const bool h2 = negotiated_h2(stream->native_handle());
  const std::shared_ptr<Session> session = h2 ? make_h2_session(std::move(stream), std::move(peer), site_)
                                              : make_h1_session(std::move(stream), std::move(peer), site_);
  if (!session) co_return;
  place->session = session;
  co_await session->run();
}

void Listener::left() {
  if (!stopped_ || !drained_ || !places_.empty()) return;
  drain_timer_.cancel();
  asio::post(context_, std::exchange(drained_, nullptr));
}

void Listener::drain(std::chrono::milliseconds limit, std::function<void()> done) {
  drained_ = std::move(done);
  for (const auto& session : close()) session->drain();
  drain_timer_.expires_after(limit);
  drain_timer_.async_wait([self = shared_from_this()](boost::system::error_code cancelled) {
    if (!cancelled) self->stop();
  });
  left();
}

void Listener::stop() {
  for (const auto& session : close()) session->abort();
}

std::vector<std::shared_ptr<Session>> Listener::close() {
  stopped_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  std::vector<std::shared_ptr<Session>> sessions;
  for (const auto& weak : places_) {
    const auto place = weak.lock();
    if (!place) continue;
    if (place->handshaking) place->handshaking->close(ignored);
    if (auto session = place->session.lock()) sessions.push_back(std::move(session));
  }
  return sessions;
}

}  // namespace avseal::http
