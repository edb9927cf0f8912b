#pragma once

#include <map>

#include "tokend/listener.hpp"
#include "tokend/rate.hpp"
#include "tokend/session_pool.hpp"

namespace avseal::tokend {

// The socket side of the worker: one thread reads, checks, hands over to the session threads and writes for all
// connections.
class Server {
 public:
  // Blocks SIGTERM and SIGINT in this thread and those it starts later. Reason "server-failed".
  static Result<std::unique_ptr<Server>> create(Descriptor listener, PeerPolicy peers, const Hsm& hsm);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  void wake() const;  // from any thread: the pool has replies

  // Serves until SIGTERM or SIGINT, then answers what it has read and returns.
  void run(SessionPool& pool);

 private:
  struct Connection {
    Descriptor socket;
    FrameReader reader;
    Bytes out;
    std::size_t sent = 0;         // of out
    std::size_t outstanding = 0;  // requests that have no reply yet
    bool greeted = false;         // its hello arrived
    bool broken = false;
  };
  struct KeyState {
    RateCeiling ceiling;
    std::uint64_t refused = 0;
    std::chrono::steady_clock::time_point last_log{};
  };
  using Connections = std::map<std::uint64_t, Connection>;

  Server(Descriptor listener, PeerPolicy peers, const Hsm& hsm, Descriptor wakeup, Descriptor signals,
         ServerHello hello);

  void poll_once(SessionPool& pool);
  [[nodiscard]] int poll_timeout() const;
  void accept_one(const SessionPool& pool);
  void read_from(std::uint64_t id, Connection& connection, SessionPool& pool);
  void take_frames(std::uint64_t id, Connection& connection, SessionPool& pool);
  Result<void> take_frame(std::uint64_t id, Connection& connection, ByteView body, SessionPool& pool);
  struct Admitted {
    std::size_t key;  // index in Hsm::keys()
    NumberToClaim crl_number;
  };
  Result<Admitted> admit(const Request& request);
  void log_refusal(KeyState& state, const std::string& key, const Error& error);
  void collect(SessionPool& pool);
  void flush(Connection& connection);
  void reap();
  [[nodiscard]] bool drained() const;
  void beat();

  Descriptor listener_;
  PeerPolicy peers_;
  const Hsm& hsm_;
  Descriptor wakeup_;
  Descriptor signals_;
  ServerHello hello_;
  std::vector<KeyState> states_;
  Connections connections_;
  std::uint64_t next_connection_ = 1;
  std::vector<Done> done_;
  bool stopping_ = false;
  std::chrono::microseconds beat_period_{0};
  std::chrono::steady_clock::time_point next_beat_{};
};

}  // namespace avseal::tokend
