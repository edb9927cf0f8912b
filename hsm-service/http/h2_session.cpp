#include "http/h2_session.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "http/errors.hpp"
#include "http/h2_callbacks.hpp"
#include "http/target.hpp"

namespace avseal::http {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t write_batch = 64 * 1024;
constexpr std::int32_t upload_window = 256 * 1024;  // per stream with a streamed body
constexpr std::int32_t connection_window = 1024 * 1024;

}  // namespace

H2Session::H2Session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site)
    : tls_(std::move(stream)),
      peer_(std::move(peer)),
      site_(std::move(site)),
      timer_(tls_->get_executor()),
      idle_since_(steady_clock::now()) {}

Result<void> H2Session::start() {
  session_.reset(new_h2_session(*this));
  if (!session_) return errors::make(Category::internal, "h2-session", "nghttp2 could not make a session");
  const std::array<nghttp2_settings_entry, 3> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, site_->config.max_streams},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(site_->config.max_header_bytes)},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  }};
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, connection_window);
  return {};
}

asio::awaitable<void> H2Session::run() {
  const auto self = shared_from_this();
  flush();
  watch(next_expiry());
  while (!closed_) {
    boost::system::error_code failed;
    const std::size_t size =
        co_await tls_->async_read_some(asio::buffer(site_->input), asio::redirect_error(asio::use_awaitable, failed));
    if (failed || closed_) break;
    receive(ByteView(site_->input.data(), size));
  }
  abort();
}

void H2Session::receive(ByteView bytes) {
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  if (taken < 0) {
    site_->metrics.refused("h2-malformed");
    nghttp2_session_terminate_session(session_.get(), NGHTTP2_PROTOCOL_ERROR);
  }
  launch_ready();
  const Deadline expiry = next_expiry();
  if (expiry < armed_) watch(expiry);
  flush();
}

void H2Session::drain() {
  if (closed_ || draining_) return;
  draining_ = true;
  nghttp2_submit_shutdown_notice(session_.get());
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);  // its answer says that the notice arrived
  flush();
}

void H2Session::finish_drain() {
  if (!draining_) return;
  const std::int32_t last = nghttp2_session_get_last_proc_stream_id(session_.get());
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
}

void H2Session::abort() {
  if (closed_) return;
  closed_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  tls_->next_layer().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  tls_->next_layer().close(ignored);
  for (const auto& [id, stream] : streams_) {
    stream->closed = true;
    if (stream->pipe) stream->pipe->fail(errors::body_truncated());
  }
  streams_.clear();
}

void H2Session::begin(std::int32_t id) {
  if (streams_.size() + running_ >= 2 * std::size_t{site_->config.max_streams}) {
    site_->metrics.refused("too-many-handlers");
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return;
  }
  const auto stream = std::make_shared<H2Stream>();
  stream->id = id;
  stream->begun = steady_clock::now();
  stream->expires = stream->begun + site_->config.request_deadline;
  stream->request.peer = peer_.certificate;
  stream->request.peer_address = peer_.address;
  nghttp2_session_set_stream_user_data(session_.get(), id, stream.get());
  streams_.emplace(id, stream);
}

void H2Session::header(H2Stream& stream, std::string_view name, std::string_view value) {
  if (stream.head_complete || stream.refusal) return;
  stream.header_bytes += name.size() + value.size() + 32;  // as SETTINGS_MAX_HEADER_LIST_SIZE counts
  if (stream.header_bytes > site_->config.max_header_bytes) {
    stream.refusal = errors::header_list_too_large(site_->config.max_header_bytes);
  } else if (name == ":method") {
    stream.method = value;
  } else if (name == ":path") {
    stream.target = value;
  } else if (name.starts_with(':')) {
    return;
  } else if (stream.request.headers.size() == site_->config.max_headers) {
    stream.refusal = errors::too_many_headers(site_->config.max_headers);
  } else {
    stream.request.headers.emplace_back(name, value);
  }
}

void H2Session::refuse(H2Stream& stream, Error error) {
  if (stream.launched) return;
  stream.refusal = std::move(error);
  launch(stream);
}

void H2Session::launch(H2Stream& stream) {
  stream.launched = true;
  stream.expires = Deadline::max();
  ready_.push_back(streams_.at(stream.id));
}

void H2Session::head_complete(H2Stream& stream, bool end) {
  stream.head_complete = true;
  stream.body_complete = end;
  std::optional<Error> early = std::move(stream.refusal);
  stream.refusal.reset();
  const Result<void> head = read_head(stream.request, stream.method, stream.target);
  stream.request.deadline = stream.expires;
  if (early) return refuse(stream, std::move(*early));
  if (!head) return refuse(stream, head.error());
  const auto route = site_->router.match(stream.request);
  if (!route) return refuse(stream, route.error());
  admit(stream);
  if (end && !stream.launched) launch(stream);
}

// A route was found: what of a body does it take?
void H2Session::admit(H2Stream& stream) {
  const Route& route = *stream.request.route;
  stream.max_body = route.body == BodyMode::none ? 0 : route.max_body;
  const auto length = content_length(stream.request);
  if (!length) return refuse(stream, length.error());
  if (*length && **length > stream.max_body) {
    return refuse(stream,
                  route.body == BodyMode::none ? errors::body_unexpected() : errors::body_too_large(route.max_body));
  }
  if (route.body != BodyMode::stream) return;
  stream.expires = stream.begun + site_->config.stream_deadline;
  stream.request.deadline = stream.expires;
  const auto consumed = [weak = weak_from_this(), id = stream.id](std::size_t size) {
    const auto self = weak.lock();
    if (!self || self->closed_ || !self->streams_.contains(id)) return;
    nghttp2_session_consume_stream(self->session_.get(), id, size);
    self->schedule_flush();
  };
  const BodyPipe::Limits limits{stream.expires, site_->config.idle_timeout, route.max_body};
  stream.pipe = std::make_shared<BodyPipe>(tls_->get_executor(), limits, site_->metrics.buffered(), consumed);
  stream.request.stream_owner = stream.pipe;
  stream.request.stream = stream.pipe.get();
  if (stream.body_complete) {
    stream.pipe->finish();
    return;
  }
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, stream.id, upload_window);
  launch(stream);
}

void H2Session::data(H2Stream& stream, ByteView bytes) {
  nghttp2_session_consume_connection(session_.get(), bytes.size());
  if (stream.pipe) {
    if (!stream.pipe->push(bytes)) discard(stream, bytes.size());
    return;
  }
  if (stream.launched) return discard(stream, bytes.size());  // refused
  nghttp2_session_consume_stream(session_.get(), stream.id, bytes.size());
  std::string& body = stream.request.body;
  if (bytes.size() > stream.max_body - body.size()) {
    return refuse(stream, stream.max_body == 0 ? errors::body_unexpected() : errors::body_too_large(stream.max_body));
  }
  body.append(as_text(bytes));
}

// Beyond the limit the window stays closed: the peer can send no more, but reads the answer.
void H2Session::discard(H2Stream& stream, std::size_t size) {
  stream.discarded += size;
  if (stream.discarded <= discard_limit) nghttp2_session_consume_stream(session_.get(), stream.id, size);
}

void H2Session::body_complete(H2Stream& stream) {
  stream.body_complete = true;
  if (stream.pipe) stream.pipe->finish();
  if (!stream.launched) launch(stream);
}

void H2Session::closed(H2Stream& stream) {
  stream.closed = true;
  if (stream.pipe) stream.pipe->fail(errors::body_truncated());
  if (!stream.launched) site_->metrics.refused("request-abandoned");
  idle_since_ = steady_clock::now();
  streams_.erase(stream.id);
}

void H2Session::launch_ready() {
  while (!ready_.empty()) {
    std::vector<StreamPtr> batch;
    batch.swap(ready_);
    for (StreamPtr& stream : batch) asio::co_spawn(tls_->get_executor(), answer(std::move(stream)), asio::detached);
  }
}

asio::awaitable<void> H2Session::answer(StreamPtr stream) {
  const auto self = shared_from_this();
  ++running_;
  Request& request = stream->request;
  Response response;
  if (stream->refusal) {
    response = co_await site_->router.refuse(request.route, request, *stream->refusal);
  } else {
    response = co_await site_->router.run(*request.route, request);
  }
  --running_;
  if (!request.refusal.empty()) site_->metrics.refused(request.refusal);
  site_->metrics.answered(request.route, response.status, steady_clock::now() - stream->begun);
  if (stream->closed || closed_) co_return;
  submit(*stream, std::move(response));
  schedule_flush();
}

void H2Session::schedule_flush() {
  if (flush_scheduled_ || writing_ || closed_) return;
  flush_scheduled_ = true;
  asio::post(tls_->get_executor(), [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void H2Session::flush() {
  if (writing_ || closed_) return;
  out_.clear();
  while (out_.size() < write_batch) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size < 0) return abort();
    if (size == 0) break;
    out_.insert(out_.end(), bytes, bytes + size);
  }
  std::vector<StreamPtr> drained;
  drained.swap(drained_);
  for (StreamPtr& stream : drained) asio::co_spawn(tls_->get_executor(), pull(std::move(stream)), asio::detached);
  if (out_.empty()) {
    const bool over = nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
    if (over) abort();
    return;
  }
  writing_ = true;
  write_since_ = steady_clock::now();
  asio::async_write(*tls_, asio::buffer(out_),
                    [self = shared_from_this()](boost::system::error_code failed, std::size_t) {
                      self->writing_ = false;
                      if (failed) return self->abort();
                      self->flush();
                    });
}

Deadline H2Session::next_expiry() const {
  if (streams_.empty()) return idle_since_ + site_->config.idle_timeout;
  Deadline next = Deadline::max();
  for (const auto& [id, stream] : streams_) next = std::min(next, stream->expires);
  return next;
}

void H2Session::watch(Deadline until) {
  armed_ = until;
  timer_.expires_at(until);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
    const auto self = weak.lock();
    if (self && !cancelled && !self->closed_) self->on_tick();
  });
}

void H2Session::on_tick() {
  const auto now = steady_clock::now();
  if (writing_ && now - write_since_ > site_->config.idle_timeout) {
    site_->metrics.refused("write-stalled");
    return abort();
  }
  std::vector<StreamPtr> late;
  for (const auto& [id, stream] : streams_) {
    if (stream->expires <= now) late.push_back(stream);
  }
  for (const StreamPtr& stream : late) {
    if (!stream->head_complete) {
      site_->metrics.refused("head-late");
      nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
      break;
    }
    if (!stream->launched) {
      refuse(*stream, errors::body_late());
    } else if (stream->ended) {
      stop_peer(*stream);
    } else if (stream->answered) {
      site_->metrics.refused("answer-not-taken");
      stream->expires = Deadline::max();
      nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    }
  }
  if (streams_.empty() && running_ == 0 && now - idle_since_ >= site_->config.idle_timeout) {
    site_->metrics.refused("idle");
    nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
  }
  launch_ready();
  flush();
  if (!closed_) watch(std::max(next_expiry(), now + std::chrono::milliseconds(20)));
}

std::shared_ptr<Session> make_h2_session(std::unique_ptr<TlsStream> stream, Peer peer, std::shared_ptr<Site> site) {
  const auto session = std::make_shared<H2Session>(std::move(stream), std::move(peer), std::move(site));
  if (!session->start()) return nullptr;
  return session;
}

}  // namespace avseal::http
