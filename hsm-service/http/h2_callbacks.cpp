#include "http/h2_callbacks.hpp"

#include <memory>

#include "http/errors.hpp"
#include "http/h2_session.hpp"

namespace avseal::http {

namespace {

// CVE-2023-44487: a burst of resets, then a steady rate of them per second. CVE-2024-28182: CONTINUATION frames per
// header block.
constexpr std::uint64_t reset_burst = 200;
constexpr std::uint64_t reset_rate = 20;
constexpr std::size_t max_continuations = 4;
constexpr std::size_t max_settings = 32;
constexpr std::size_t max_outbound_acks = 100;

std::string_view goaway_reason(std::uint32_t code) {
  switch (code) {
    case NGHTTP2_FLOW_CONTROL_ERROR:
      return "h2-flow-control";
    case NGHTTP2_FRAME_SIZE_ERROR:
      return "h2-frame-size";
    case NGHTTP2_COMPRESSION_ERROR:
      return "h2-compression";
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return "h2-excessive-load";
    case NGHTTP2_INTERNAL_ERROR:
      return "h2-session-limit";
    default:
      return "h2-protocol";
  }
}

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

H2Session& session_of(void* user) {
  return *static_cast<H2Session*>(user);
}

H2Stream* stream_of(nghttp2_session* session, std::int32_t id) {
  return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

// No exception crosses nghttp2's C frames.
template <class F>
int guarded(F&& f) {
  try {
    f();
    return 0;
  } catch (const std::exception&) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
}

}  // namespace

// The C side of H2Session's private members.
struct H2Callbacks {
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return guarded([&] { session_of(user).begin(frame->hd.stream_id); });
  }

  static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                    void* user) {
    H2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (!stream) return 0;
    return guarded([&] { session_of(user).header(*stream, text(name, name_size), text(value, value_size)); });
  }

  static int invalid_header(nghttp2_session* session, const nghttp2_frame* frame, nghttp2_rcbuf*, nghttp2_rcbuf*,
                            std::uint8_t, void*) {
    H2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (!stream) return 0;
    return guarded([&] { stream->refusal = errors::header_malformed(); });
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) session_of(user).finish_drain();
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    H2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (!stream) return 0;
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return guarded([&] {
      if (!stream->head_complete) {
        session_of(user).head_complete(*stream, end);
      } else if (end) {
        session_of(user).body_complete(*stream);
      }
    });
  }

  static int data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                  void* user) {
    H2Stream* stream = stream_of(session, id);
    if (!stream) {
      nghttp2_session_consume(session, id, size);
      return 0;
    }
    return guarded([&] { session_of(user).data(*stream, ByteView(bytes, size)); });
  }

  static int stream_closed(nghttp2_session* session, std::int32_t id, std::uint32_t, void* user) {
    H2Stream* stream = stream_of(session, id);
    if (!stream) return 0;
    nghttp2_session_set_stream_user_data(session, id, nullptr);
    return guarded([&] { session_of(user).closed(*stream); });
  }

  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Metrics& metrics = session_of(user).site_->metrics;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      return guarded([&] { metrics.refused(goaway_reason(frame->goaway.error_code)); });
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
      const std::uint32_t code = frame->rst_stream.error_code;
      if (code == NGHTTP2_REFUSED_STREAM) return guarded([&] { metrics.refused("h2-too-many-streams"); });
      if (code == NGHTTP2_PROTOCOL_ERROR) return guarded([&] { metrics.refused("h2-stream-protocol"); });
      return 0;
    }
    const bool end = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                     (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    H2Stream* stream = end ? stream_of(session, frame->hd.stream_id) : nullptr;
    if (stream) session_of(user).sent_end(*stream);
    return 0;
  }
};

nghttp2_session* new_h2_session(H2Session& owner) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* options = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return nullptr;
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)> own_callbacks(
      callbacks, nghttp2_session_callbacks_del);
  if (nghttp2_option_new(&options) != 0) return nullptr;
  const std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)> own_options(options, nghttp2_option_del);

  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, H2Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, H2Callbacks::header);
  nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, H2Callbacks::invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, H2Callbacks::frame_received);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, H2Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, H2Callbacks::stream_closed);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, H2Callbacks::frame_sent);

  nghttp2_option_set_no_auto_window_update(options, 1);  // the window opens as handlers read
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_stream_reset_rate_limit(options, reset_burst, reset_rate);
  nghttp2_option_set_max_continuations(options, max_continuations);
  nghttp2_option_set_max_settings(options, max_settings);
  nghttp2_option_set_max_outbound_ack(options, max_outbound_acks);

  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new2(&session, callbacks, &owner, options) != 0) return nullptr;
  return session;
}

}  // namespace avseal::http
