#include "http/body_pipe.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/errors.hpp"

namespace avseal::http {

namespace asio = boost::asio;

BodyPipe::BodyPipe(const asio::any_io_executor& executor, Limits limits, prometheus::Gauge& buffered,
                   std::function<void(std::size_t)> consumed)
    : timer_(executor), limits_(limits), buffered_(buffered), consumed_(std::move(consumed)) {}

BodyPipe::~BodyPipe() {
  buffered_.Decrement(static_cast<double>(pending_.size()));
}

Result<void> BodyPipe::push(ByteView bytes) {
  if (error_) return *error_;
  received_ += bytes.size();
  if (received_ > limits_.size) {
    fail(errors::body_too_large(limits_.size));
    return *error_;
  }
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  buffered_.Increment(static_cast<double>(bytes.size()));
  timer_.cancel();
  return {};
}

void BodyPipe::finish() {
  finished_ = true;
  timer_.cancel();
}

void BodyPipe::fail(Error error) {
  if (finished_ || error_) return;
  error_ = std::move(error);
  take_pending();
  timer_.cancel();
}

Bytes BodyPipe::take_pending() {
  Bytes out;
  out.swap(pending_);
  buffered_.Decrement(static_cast<double>(out.size()));
  if (!out.empty()) consumed_(out.size());
  return out;
}

asio::awaitable<Result<Bytes>> BodyPipe::read() {
  const auto now = std::chrono::steady_clock::now();
  const Deadline until = std::min(limits_.deadline, now + limits_.idle);
  while (pending_.empty() && !finished_ && !error_) {
    if (std::chrono::steady_clock::now() >= until) {
      error_ = errors::body_late();
      break;
    }
    timer_.expires_at(until);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (error_) co_return *error_;
  co_return take_pending();
}

}  // namespace avseal::http
