#include "tokend/server.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "tokens/digest.hpp"

namespace avseal::tokend {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t max_connections = 256;
constexpr std::size_t max_outstanding = 1024;      // per connection; then it is not read from until some are answered
constexpr std::size_t max_unsent = 8 * max_frame;  // the same for replies that the client does not read
constexpr std::chrono::seconds drain_limit{3};
constexpr std::chrono::seconds refusal_log_period{1};

Error failed(std::string_view call) {
  return errors::make(Category::internal, "server-failed", fmt::format("{}: {}", call, std::strerror(errno)));
}

Error refusal(Category category, std::string_view reason, std::string detail) {
  return errors::make(category, reason, std::move(detail));
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(Descriptor listener, PeerPolicy peers, const Hsm& hsm) {
  sigset_t set{};
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return failed("pthread_sigmask");
  Descriptor signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (signals.get() < 0) return failed("signalfd");
  Descriptor wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wakeup.get() < 0) return failed("eventfd");
  ServerHello hello{protocol_version, tokens::random_uuid(), hsm.token_info(), 0, hsm.announcement()};
  Bytes frame;
  AVSEAL_CHECK(append_server_hello(frame, hello));
  return std::unique_ptr<Server>(
      new Server(std::move(listener), std::move(peers), hsm, std::move(wakeup), std::move(signals), std::move(hello)));
}

Server::Server(Descriptor listener, PeerPolicy peers, const Hsm& hsm, Descriptor wakeup, Descriptor signals,
               ServerHello hello)
    : listener_(std::move(listener)),
      peers_(std::move(peers)),
      hsm_(hsm),
      wakeup_(std::move(wakeup)),
      signals_(std::move(signals)),
      hello_(std::move(hello)) {
  for (const Key& key : hsm.keys()) states_.push_back({RateCeiling(key.config.max_rate)});
  std::uint64_t period = 0;
  if (::sd_watchdog_enabled(0, &period) > 0) beat_period_ = std::chrono::microseconds(period / 3);
}

Server::~Server() = default;

void Server::wake() const {
  const std::uint64_t one = 1;
  // A full counter already wakes the other side.
  [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof one);
}

void Server::run(SessionPool& pool) {
  while (!stopping_) poll_once(pool);
  ::sd_notify(0, "STOPPING=1");
  const auto limit = SteadyClock::now() + drain_limit;
  while (!drained() && SteadyClock::now() < limit) poll_once(pool);
  spdlog::info("event=stopped drained={}", drained());
}

int Server::poll_timeout() const {
  if (stopping_) return 50;
  if (beat_period_.count() == 0) return -1;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(beat_period_).count());
}

void Server::poll_once(SessionPool& pool) {
  std::vector<pollfd> fds = {
      {wakeup_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {stopping_ ? -1 : listener_.get(), POLLIN, 0}};
  std::vector<Connections::iterator> polled;
  for (auto it = connections_.begin(); it != connections_.end(); ++it) {
    const Connection& connection = it->second;
    const std::size_t unsent = connection.out.size() - connection.sent;
    const bool reads = !stopping_ && connection.outstanding < max_outstanding && unsent < max_unsent;
    fds.push_back({connection.socket.get(), static_cast<short>((reads ? POLLIN : 0) | (unsent > 0 ? POLLOUT : 0)), 0});
    polled.push_back(it);
  }
  ::poll(fds.data(), fds.size(), poll_timeout());
  beat();

  std::uint64_t counter = 0;
  if (fds[0].revents != 0 && ::read(wakeup_.get(), &counter, sizeof counter) > 0) collect(pool);
  signalfd_siginfo signal{};
  if (fds[1].revents != 0 && ::read(signals_.get(), &signal, sizeof signal) > 0) {
    spdlog::info("event=stopping signal={}", signal.ssi_signo);
    stopping_ = true;
  }
  for (std::size_t i = 0; i < polled.size(); ++i) {
    const short events = fds[3 + i].revents;
    Connection& connection = polled[i]->second;
    if ((events & POLLIN) != 0 && !stopping_) read_from(polled[i]->first, connection, pool);
    if ((events & (POLLERR | POLLHUP)) != 0 && (events & POLLIN) == 0) connection.broken = true;
  }
  if (fds[2].revents != 0 && !stopping_) accept_one(pool);
  for (auto& [id, connection] : connections_) flush(connection);
  reap();
}

void Server::accept_one(const SessionPool& pool) {
  Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.get() < 0) return;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || !peers_.allows(peer.uid, peer.gid)) {
    spdlog::warn("event=peer-refused uid={} gid={} pid={}", peer.uid, peer.gid, peer.pid);
    return;
  }
  if (connections_.size() >= max_connections) {
    spdlog::warn("event=peer-refused reason=too-many-connections pid={}", peer.pid);
    return;
  }
  spdlog::info("event=connected connection={} uid={} pid={}", next_connection_, peer.uid, peer.pid);
  Connection& connection = connections_[next_connection_++];
  connection.socket = std::move(socket);
  hello_.sessions = static_cast<std::uint8_t>(pool.sessions());
  for (std::size_t i = 0; i < hello_.keys.size(); ++i) hello_.keys[i].sequence = pool.sequence(i);
  [[maybe_unused]] const auto fits = append_server_hello(connection.out, hello_);  // create() saw that it does
}

void Server::read_from(std::uint64_t id, Connection& connection, SessionPool& pool) {
  const std::span<std::uint8_t> room = connection.reader.prepare();
  const ssize_t got = ::recv(connection.socket.get(), room.data(), room.size(), 0);
  if (got > 0) {
    connection.reader.commit(static_cast<std::size_t>(got));
    take_frames(id, connection, pool);
  } else if (got == 0 || !would_block()) {
    connection.broken = true;
  }
}

void Server::take_frames(std::uint64_t id, Connection& connection, SessionPool& pool) {
  for (;;) {
    const auto body = connection.reader.next();
    const auto taken = !body    ? Result<void>(body.error())
                       : !*body ? Result<void>()
                                : take_frame(id, connection, **body, pool);
    if (!taken) {
      spdlog::warn("event=connection-dropped connection={} error=\"{}\"", id, taken.error().detail);
      connection.broken = true;
      return;
    }
    if (!*body) return;
  }
}

Result<void> Server::take_frame(std::uint64_t id, Connection& connection, ByteView body, SessionPool& pool) {
  if (!connection.greeted) {
    AVSEAL_TRY(const ClientHello hello, decode_client_hello(body));
    if (hello.version != protocol_version) {
      return refusal(Category::bad_request, "frame-malformed",
                     fmt::format("the client speaks version {}, this worker {}; install the same release of both",
                                 hello.version, protocol_version));
    }
    connection.greeted = true;
    return {};
  }
  AVSEAL_TRY(Request request, decode_request(body));
  auto admitted = admit(request);
  if (!admitted) {
    OPENSSL_cleanse(request.input.data(), request.input.size());
    append_reply(connection.out, {request.id, 0, admitted.error()});
    return {};
  }
  ++connection.outstanding;
  pool.submit({id, admitted->key, std::move(request), SteadyClock::now(), admitted->crl_number});
  return {};
}

Result<Server::Admitted> Server::admit(const Request& request) {
  const auto index = hsm_.find(request.key);
  if (!index) {
    return refusal(Category::not_found, "key-unknown", fmt::format("this worker has no key \"{}\"", request.key));
  }
  const Key& key = hsm_.keys()[*index];
  KeyState& state = states_[*index];
  const bool wraps = request.operation == FrameType::wrap || request.operation == FrameType::unwrap;
  Result<NumberToClaim> allowed = NumberToClaim();
  if (request.operation == FrameType::sign) {
    allowed = check_input(key.rule, request.input);
  } else if (wraps && pkcs11::signs(key.config.kind)) {
    allowed = refusal(Category::forbidden, "not-of-key-kind",
                      fmt::format("a key of kind {} neither wraps nor unwraps", pkcs11::to_string(key.config.kind)));
  }
  if (allowed && !wraps && !state.ceiling.take(SteadyClock::now())) {
    allowed =
        refusal(Category::too_many_requests, "rate-exceeded",
                fmt::format("key \"{}\" signs at most {} times a second here", key.config.name, key.config.max_rate));
  }
  if (allowed) return Admitted{*index, *allowed};
  log_refusal(state, key.config.name, allowed.error());
  return allowed.error();
}

void Server::log_refusal(KeyState& state, const std::string& key, const Error& error) {
  ++state.refused;
  const auto now = SteadyClock::now();
  if (state.refused > 1 && now - state.last_log < refusal_log_period) return;
  state.last_log = now;
  spdlog::warn("event=refused key={} reason={} total={} detail=\"{}\"", key, error.reason, state.refused, error.detail);
}

void Server::collect(SessionPool& pool) {
  pool.take(done_);
  for (Done& done : done_) {
    const auto found = connections_.find(done.connection);
    if (found != connections_.end()) {
      append_reply(found->second.out, done.reply);
      --found->second.outstanding;
    }
    if (done.reply.value) OPENSSL_cleanse(done.reply.value->data(), done.reply.value->size());
  }
  done_.clear();
}

void Server::flush(Connection& connection) {
  const std::size_t unsent = connection.out.size() - connection.sent;
  if (unsent == 0 || connection.broken) return;
  const ssize_t sent = ::send(connection.socket.get(), connection.out.data() + connection.sent, unsent, MSG_NOSIGNAL);
  if (sent > 0) connection.sent += static_cast<std::size_t>(sent);
  if (sent < 0 && !would_block()) connection.broken = true;
  if (connection.sent == connection.out.size()) {
    OPENSSL_cleanse(connection.out.data(), connection.out.size());
    connection.out.clear();
    connection.sent = 0;
  }
}

void Server::reap() {
  for (auto it = connections_.begin(); it != connections_.end();) {
    if (it->second.broken) {
      spdlog::info("event=disconnected connection={} unanswered={}", it->first, it->second.outstanding);
      it = connections_.erase(it);
    } else {
      ++it;
    }
  }
}

bool Server::drained() const {
  return std::all_of(connections_.begin(), connections_.end(),
                     [](const auto& entry) { return entry.second.outstanding == 0 && entry.second.out.empty(); });
}

void Server::beat() {
  if (beat_period_.count() == 0 || SteadyClock::now() < next_beat_) return;
  ::sd_notify(0, "WATCHDOG=1");
  next_beat_ = SteadyClock::now() + beat_period_;
}

}  // namespace avseal::tokend
