#include "raw_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace avseal::http::testing {

TlsClient::TlsClient(std::uint16_t port, const TlsOptions& options)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
  std::signal(SIGPIPE, SIG_IGN);
  SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
  if (options.identity) {
    SSL_CTX_use_certificate(context_.get(), options.identity->certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), options.identity->key.get());
  }
  descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{options.receive_seconds, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  ssl_.reset(SSL_new(context_.get()));
  if (!options.alpn.empty()) {
    const std::string list = static_cast<char>(options.alpn.size()) + options.alpn;
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }
  SSL_set_fd(ssl_.get(), descriptor_);
  connected_ = SSL_connect(ssl_.get()) == 1;
}

TlsClient::~TlsClient() {
  ssl_.reset();
  if (descriptor_ >= 0) close(descriptor_);
}

std::string TlsClient::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsClient::write(std::string_view bytes) {
  return connected_ && (bytes.empty() || SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0);
}

std::string TlsClient::read_some() {
  std::string out(16 * 1024, '\0');
  const int size = connected_ ? SSL_read(ssl_.get(), out.data(), static_cast<int>(out.size())) : 0;
  out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return out;
}

std::string TlsClient::read_to_end() {
  std::string all;
  for (std::string piece = read_some(); !piece.empty(); piece = read_some()) all += piece;
  return all;
}

H2Client::H2Client(std::uint16_t port, const TlsOptions& options) : tls(port, options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        Answer& answer = static_cast<H2Client*>(user)->answers[frame->hd.stream_id];
        const std::string n(reinterpret_cast<const char*>(name), name_size);
        const std::string v(reinterpret_cast<const char*>(value), value_size);
        if (n == ":status") answer.status = std::stoi(v);
        answer.headers[n] = v;
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                    std::size_t size, void* user) {
        auto* self = static_cast<H2Client*>(user);
        self->answers[id].body.append(reinterpret_cast<const char*>(bytes), size);
        if (!self->hold_window) nghttp2_session_consume(session, id, size);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        Answer& answer = static_cast<H2Client*>(user)->answers[id];
        answer.closed = true;
        answer.error = code;
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_GOAWAY) static_cast<H2Client*>(user)->goaway = frame->goaway.error_code;
        return 0;
      });
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
  nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
}

ssize_t H2Client::read_body(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                            nghttp2_data_source* source, void* user) {
  auto& body = *static_cast<Body*>(source->ptr);
  const std::uint64_t total = body.bytes.empty() ? body.size : body.bytes.size();
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(room, total - body.offset));
  if (size == 0 && !body.end) return NGHTTP2_ERR_DEFERRED;
  if (body.bytes.empty()) {
    std::memset(out, 'a', size);
  } else {
    std::memcpy(out, body.bytes.data() + body.offset, size);
  }
  body.offset += size;
  static_cast<H2Client*>(user)->body_sent += size;
  if (body.offset == total && body.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

std::int32_t H2Client::submit(const std::string& method, const std::string& path, const Fields& fields,
                              std::unique_ptr<Body> body) {
  Fields all{{":method", method}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}};
  all.insert(all.end(), fields.begin(), fields.end());
  std::vector<nghttp2_nv> list;
  for (auto& [name, value] : all) {
    list.push_back({reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(value.data()),
                    name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider provider{};
  provider.source.ptr = body.get();
  provider.read_callback = read_body;
  const std::int32_t id =
      nghttp2_submit_request(session_, nullptr, list.data(), list.size(), body ? &provider : nullptr, nullptr);
  if (body) bodies_.push_back(std::move(body));
  return id;
}

std::int32_t H2Client::send(const std::string& method, const std::string& path, const Fields& fields,
                            std::optional<std::string> body, bool end) {
  auto content = body || !end ? std::make_unique<Body>() : nullptr;
  if (content) {
    content->bytes = body.value_or("");
    content->end = end;
  }
  return submit(method, path, fields, std::move(content));
}

std::int32_t H2Client::send_sized(const std::string& method, const std::string& path, std::uint64_t size) {
  auto content = std::make_unique<Body>();
  content->size = size;
  return submit(method, path, {}, std::move(content));
}

void H2Client::reset(std::int32_t id) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
}

bool H2Client::flush() {
  while (true) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) return size == 0;
    if (!tls.write({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)})) return false;
  }
}

bool H2Client::step() {
  if (!flush()) return false;
  const std::string bytes = tls.read_some();
  if (bytes.empty()) return false;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return taken >= 0 && flush();
}

bool H2Client::run_until(const std::function<bool()>& condition) {
  while (!condition()) {
    if (!step()) return condition();
  }
  return true;
}

H2Client::Answer H2Client::exchange(const std::string& method, const std::string& path, const Fields& fields,
                                    std::optional<std::string> body) {
  const std::int32_t id = send(method, path, fields, std::move(body));
  run_until([&] { return answers[id].closed; });
  return answers[id];
}

}  // namespace avseal::http::testing
