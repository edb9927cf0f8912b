#pragma once

#include <unordered_map>

#include <boost/asio/steady_timer.hpp>
#include <nghttp2/nghttp2.h>

#include "http/body_pipe.hpp"
#include "http/session.hpp"

namespace avseal::http {

// A request and its answer on one HTTP/2 stream. Lives on while its handler runs, even if the stream is closed.
struct H2Stream {
  std::int32_t id = 0;
  std::string method;
  std::string target;
  std::size_t header_bytes = 0;
  std::optional<Error> refusal;  // found before the handler ran
  Request request;
  std::chrono::steady_clock::time_point begun;
  Deadline expires;  // of the head and body, then of the answer's way out; none while the handler works
  bool head_complete = false;
  bool body_complete = false;
  bool launched = false;  // its answer is being made
  bool answered = false;  // and was submitted
  bool ended = false;     // the whole answer was sent
  bool closed = false;
  std::uint64_t discarded = 0;  // of a body that is not wanted
  std::uint64_t max_body = 0;
  std::shared_ptr<BodyPipe> pipe;  // BodyMode::stream

  Response response;
  Bytes chunk;             // of response.stream
  std::size_t offset = 0;  // sent of chunk or response.body
  std::uint64_t left = 0;  // of a streamed answer
  bool pulling = false;
};

// HTTP/2 (RFC 9113) on nghttp2's memory interface. One coroutine reads; requests run as coroutines of their own; their
// answers are written in batches.
class H2Session final : public Session, public std::enable_shared_from_this<H2Session> {
 public:
  H2Session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site);
  Result<void> start();
  boost::asio::awaitable<void> run() override;
  void drain() override;
  void abort() override;
  void receive(ByteView bytes);  // from the peer, decrypted

 private:
  using StreamPtr = std::shared_ptr<H2Stream>;
  friend struct H2Callbacks;

  void begin(std::int32_t id);
  void header(H2Stream& stream, std::string_view name, std::string_view value);
  void head_complete(H2Stream& stream, bool end);
  void admit(H2Stream& stream);
  void data(H2Stream& stream, ByteView bytes);
  void discard(H2Stream& stream, std::size_t size);
  void body_complete(H2Stream& stream);
  void launch(H2Stream& stream);
  void closed(H2Stream& stream);
  void refuse(H2Stream& stream, Error error);
  void sent_end(H2Stream& stream);
  void stop_peer(H2Stream& stream);
  void finish_drain();
  void launch_ready();
  boost::asio::awaitable<void> answer(StreamPtr stream);
  void submit(H2Stream& stream, Response response);
  ssize_t produce(H2Stream& stream, std::uint8_t* out, std::size_t room, std::uint32_t& flags);
  boost::asio::awaitable<void> pull(StreamPtr stream);

  void schedule_flush();
  void flush();
  void watch(Deadline until);
  void on_tick();
  [[nodiscard]] Deadline next_expiry() const;

  struct Free {
    void operator()(nghttp2_session* session) const noexcept { nghttp2_session_del(session); }
  };
  std::unique_ptr<TlsStream> tls_;
  Peer peer_;
  std::shared_ptr<Site> site_;
  boost::asio::steady_timer timer_;
  Deadline armed_ = Deadline::max();
  std::unordered_map<std::int32_t, StreamPtr> streams_;
  std::vector<StreamPtr> ready_;
  std::vector<StreamPtr> drained_;  // want the next piece of their streamed answer
  std::vector<std::uint8_t> out_;
  std::size_t running_ = 0;  // handlers at work, those of closed streams included
  Deadline idle_since_;
  Deadline write_since_;
  bool writing_ = false;
  bool flush_scheduled_ = false;
  bool draining_ = false;
  bool closed_ = false;
  std::unique_ptr<nghttp2_session, Free> session_;  // last: its end calls back
};

}  // namespace avseal::http
