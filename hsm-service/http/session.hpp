// One established connection, whichever HTTP version it speaks.
#pragma once

#include "http/metrics.hpp"
#include "http/server.hpp"
#include "http/tls_stream.hpp"
#include "tokens/certificate.hpp"

namespace avseal::http {

// A peer whose request was answered before it was all sent may still be sending, and must be able to read the answer:
// so much of the rest is taken and discarded, and so long is it waited for, before the peer is cut off.
constexpr std::size_t discard_limit = 256 * 1024;
constexpr auto linger_time = std::chrono::seconds(1);

// What the connections of one io_context share. One thread.
struct Site {
  Site(ServerConfig c, const Router& r, prometheus::Registry& registry)
      : config(std::move(c)), router(r), metrics(registry) {}
  const ServerConfig config;
  const Router& router;
  Metrics metrics;
  Bytes input = Bytes(16 * 1024);  // what a connection just read, until it has taken it
};

struct Peer {
  std::optional<tokens::Certificate> certificate;
  std::string address;
};

class Session {
 public:
  virtual ~Session() = default;
  virtual boost::asio::awaitable<void> run() = 0;  // until the connection ended; holds the session
  virtual void drain() = 0;                        // no new requests; ends when those in flight are answered
  virtual void abort() = 0;                        // ends now
};

std::shared_ptr<Session> make_h2_session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site);
std::shared_ptr<Session> make_h1_session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site);

// True if every header is a lower-case token with a value free of control characters, so that it can be written.
bool writable(const Response& response);

}  // namespace avseal::http
