#pragma once

#include <functional>

#include <boost/asio/steady_timer.hpp>
#include <prometheus/gauge.h>

#include "http/message.hpp"

namespace avseal::http {

// A streamed request body between a connection, which pushes what arrived, and a handler, which reads. The connection
// lets its peer send more only when `consumed` is told of bytes that the handler took or that nobody will take, so that
// at most one flow-control window is held. One thread.
class BodyPipe : public BodyReader {
 public:
  struct Limits {
    Deadline deadline;                  // of the whole body
    std::chrono::milliseconds idle{0};  // between two pieces
    std::uint64_t size = 0;
  };
  BodyPipe(const boost::asio::any_io_executor& executor, Limits limits, prometheus::Gauge& buffered,
           std::function<void(std::size_t)> consumed);
  ~BodyPipe() override;
  BodyPipe(const BodyPipe&) = delete;
  BodyPipe& operator=(const BodyPipe&) = delete;

  Result<void> push(ByteView bytes);  // "body-too-large", of which the reader hears too
  void finish();
  void fail(Error error);  // unless finished; drops what was not read
  boost::asio::awaitable<Result<Bytes>> read() override;

 private:
  Bytes take_pending();

  boost::asio::steady_timer timer_;  // wakes the reader
  Limits limits_;
  prometheus::Gauge& buffered_;
  std::function<void(std::size_t)> consumed_;
  Bytes pending_;
  std::uint64_t received_ = 0;
  bool finished_ = false;
  std::optional<Error> error_;
};

}  // namespace avseal::http
