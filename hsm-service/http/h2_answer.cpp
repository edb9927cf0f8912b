// The way out: answers as HTTP/2 frames.
#include <algorithm>
#include <cstring>

#include <boost/asio/this_coro.hpp>

#include "http/errors.hpp"
#include "http/h2_session.hpp"

namespace avseal::http {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

nghttp2_nv field(std::string_view name, std::string_view value) {
  // nghttp2 copies both and never writes through these pointers.
  auto* n = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(name.data()));
  auto* v = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(value.data()));
  return {n, v, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

bool has_content(const Response& response) {
  return response.stream ? response.stream_size > 0 : !response.body.empty();
}

}  // namespace

bool writable(const Response& response) {
  return std::all_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
    const auto& [name, value] = header;
    const bool lower = std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    const auto* n = reinterpret_cast<const std::uint8_t*>(name.data());
    const auto* v = reinterpret_cast<const std::uint8_t*>(value.data());
    return lower && nghttp2_check_header_name(n, name.size()) != 0 && nghttp2_check_header_value(v, value.size()) != 0;
  });
}

void H2Session::submit(H2Stream& stream, Response response) {
  if (!writable(response) || response.status < 200 || response.status > 599) response = Response::empty(500);
  stream.answered = true;
  stream.response = std::move(response);
  const Response& r = stream.response;
  stream.left = r.stream_size;
  stream.expires = steady_clock::now() + (r.stream ? site_->config.stream_deadline : site_->config.idle_timeout);
  if (stream.expires < armed_) watch(stream.expires);

  const std::string status = std::to_string(r.status);
  const std::string size = std::to_string(r.stream ? r.stream_size : r.body.size());
  std::vector<nghttp2_nv> fields;
  fields.reserve(r.headers.size() + 2);
  fields.push_back(field(":status", status));
  for (const auto& [name, value] : r.headers) fields.push_back(field(name, value));
  if (r.status != 204 && r.status != 304) fields.push_back(field("content-length", size));

  nghttp2_data_provider body{};
  body.source.ptr = &stream;
  body.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                          nghttp2_data_source* source, void* user) -> ssize_t {
    return static_cast<H2Session*>(user)->produce(*static_cast<H2Stream*>(source->ptr), out, room, *flags);
  };
  const bool bodiless = stream.request.method == Method::head || !has_content(r);
  nghttp2_submit_response(session_.get(), stream.id, fields.data(), fields.size(), bodiless ? nullptr : &body);
}

ssize_t H2Session::produce(H2Stream& stream, std::uint8_t* out, std::size_t room, std::uint32_t& flags) {
  const Response& r = stream.response;
  if (!r.stream) {
    const std::size_t size = std::min(room, r.body.size() - stream.offset);
    std::memcpy(out, r.body.data() + stream.offset, size);
    stream.offset += size;
    if (stream.offset == r.body.size()) flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
  if (stream.offset == stream.chunk.size()) {
    if (!stream.pulling) {
      stream.pulling = true;
      drained_.push_back(streams_.at(stream.id));
    }
    return NGHTTP2_ERR_DEFERRED;
  }
  const std::size_t size = std::min(room, stream.chunk.size() - stream.offset);
  std::memcpy(out, stream.chunk.data() + stream.offset, size);
  stream.offset += size;
  stream.left -= size;
  if (stream.left == 0) flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

// Gets the next piece of a streamed answer. One that ends early, late or with an error resets the stream.
asio::awaitable<void> H2Session::pull(StreamPtr stream) {
  const auto self = shared_from_this();
  Result<Bytes> piece = Bytes{};
  try {
    piece = co_await stream->response.stream->next();
  } catch (const std::exception&) {
    piece = Bytes{};
  }
  stream->pulling = false;
  if (stream->closed || closed_) co_return;
  if (!piece || piece->empty() || piece->size() > stream->left) {
    site_->metrics.refused("answer-broken");
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_INTERNAL_ERROR);
  } else {
    stream->chunk = std::move(*piece);
    stream->offset = 0;
    nghttp2_session_resume_data(session_.get(), stream->id);
  }
  schedule_flush();
}

void H2Session::sent_end(H2Stream& stream) {
  stream.ended = true;
  if (stream.body_complete) return;
  if (stream.pipe) stream.pipe->fail(errors::body_truncated());
  stream.expires = steady_clock::now() + linger_time;
  if (stream.expires < armed_) watch(stream.expires);
}

// A complete answer to an incomplete request, whose sender did not stop by itself: RFC 9113 section 8.1 asks it to,
// without error. Not at once, for some clients (curl 7.88) take this for the loss of an answer that they have not read.
void H2Session::stop_peer(H2Stream& stream) {
  stream.expires = Deadline::max();
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR);
}

}  // namespace avseal::http
