#include "cli/bench_load.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/url.hpp>
#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include "http/tls.hpp"
#include "tokens/clock.hpp"
#include "tokens/digest.hpp"

namespace avseal::cli {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds look_again{20};  // whether the load is finished
constexpr std::chrono::seconds last_answers{30};     // that are waited for then

struct Destination {
  std::string host;
  std::string port;
  std::string authority;
  std::string path;
};

Result<Destination> parse_destination(const LoadOptions& options) {
  const auto url = boost::urls::parse_uri(options.url);
  if (!url || url->scheme_id() != boost::urls::scheme::https || url->host().empty()) {
    return errors::make(Category::invalid, "bench-url", fmt::format("'{}' is no https URL", options.url));
  }
  Destination to;
  to.host = url->host_address();
  to.port = url->has_port() ? std::string(url->port()) : "443";
  to.authority = std::string(url->encoded_host_and_port().data(), url->encoded_host_and_port().size());
  to.path = options.path.empty() ? std::string(url->encoded_target()) : options.path;
  if (to.path.empty()) to.path = "/";
  return to;
}

// What the connections of one thread share.
struct Lane {
  const LoadOptions& options;
  const Destination& to;
  steady_clock::time_point counted_from;  // answers before this warm up only
  steady_clock::time_point end;
  LoadResult result;
  bool draining = false;  // nothing more is sent
  steady_clock::time_point last_success = steady_clock::now();
};

// One request in flight.
struct Flight {
  std::string body;
  std::size_t offset = 0;
  unsigned status = 0;
  steady_clock::time_point begun;
};

// One connection that keeps `streams` requests in flight until the lane's end. One thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& context, asio::ssl::context& tls, Lane& lane)
      : stream_(context, tls), timer_(context), lane_(lane), in_(64 * 1024) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { nghttp2_session_del(session_); }

  // Blocking, before the clock starts.
  Result<void> connect(const tcp::resolver::results_type& addresses);
  void start();
  void drain();  // closes after the last answer

 private:
  static Connection& of(void* user) { return *static_cast<Connection*>(user); }
  void open_session();
  bool request();
  void finished(std::int32_t id, std::uint32_t code);
  void read();
  void write();
  void close(const std::string& why);

  asio::ssl::stream<tcp::socket> stream_;
  asio::steady_timer timer_;
  Lane& lane_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::uint8_t> in_;
  std::vector<std::uint8_t> out_;
  std::unordered_map<std::int32_t, Flight> flights_;
  bool writing_ = false;
  bool closed_ = false;
};

Result<void> Connection::connect(const tcp::resolver::results_type& addresses) {
  boost::system::error_code failed;
  asio::connect(stream_.next_layer(), addresses, failed);
  if (!failed) stream_.next_layer().set_option(tcp::no_delay(true), failed);
  SSL* native = stream_.native_handle();
  const bool literal = !asio::ip::make_address(lane_.to.host, failed).is_unspecified() && !failed;
  failed = {};
  if (literal) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(native), lane_.to.host.c_str());
  } else {
    SSL_set1_host(native, lane_.to.host.c_str());
    SSL_set_tlsext_host_name(native, lane_.to.host.c_str());
  }
  constexpr std::string_view alpn = "\x02h2";
  SSL_set_alpn_protos(native, reinterpret_cast<const unsigned char*>(alpn.data()), static_cast<unsigned>(alpn.size()));
  if (stream_.next_layer().is_open()) stream_.handshake(asio::ssl::stream_base::client, failed);
  if (!failed && http::negotiated_h2(native)) return {};
  const long verdict = SSL_get_verify_result(native);
  const std::string why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                          : failed             ? failed.message()
                                               : "the server speaks no HTTP/2";
  return errors::make(Category::unavailable, "bench-connect",
                      fmt::format("cannot connect to {}: {}", lane_.to.authority, why));
}

void Connection::open_session() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t size,
                    const std::uint8_t* value, std::size_t, std::uint8_t, void* user) {
        if (size != 7 || std::memcmp(name, ":status", 7) != 0) return 0;
        const unsigned status =
            (value[0] - unsigned{'0'}) * 100 + (value[1] - unsigned{'0'}) * 10 + (value[2] - unsigned{'0'});
        of(user).flights_[frame->hd.stream_id].status = status;
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        of(user).finished(id, code);
        return 0;
      });
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 16 << 20);
}

void Connection::start() {
  open_session();
  for (unsigned i = 0; i < lane_.options.streams; ++i) request();
  timer_.expires_at(lane_.end);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
    if (!failed) self->close({});
  });
  read();
  write();
}

void Connection::drain() {
  if (flights_.empty()) return close({});
  timer_.expires_after(last_answers);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code failed) {
    if (!failed) self->close("requests without an answer");
  });
}

bool Connection::request() {
  const LoadOptions& o = lane_.options;
  const auto field = [](std::string_view name, const std::string& value) {
    auto* n = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(name.data()));
    auto* v = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(value.data()));
    return nghttp2_nv{n, v, name.size(), value.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME};
  };
  static const std::string scheme = "https";
  const std::array<nghttp2_nv, 5> fields{field(":method", o.method), field(":scheme", scheme),
                                         field(":authority", lane_.to.authority), field(":path", lane_.to.path),
                                         field("content-type", o.content_type)};
  nghttp2_data_provider body{};
  body.read_callback = [](nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                          nghttp2_data_source*, void* user) -> ssize_t {
    Flight& flight = of(user).flights_[id];
    const std::size_t size = std::min(room, flight.body.size() - flight.offset);
    std::memcpy(out, flight.body.data() + flight.offset, size);
    flight.offset += size;
    if (flight.offset == flight.body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  };
  const bool with_body = !o.body.empty();
  const std::int32_t id =
      nghttp2_submit_request(session_, nullptr, fields.data(), with_body ? 5 : 4, with_body ? &body : nullptr, nullptr);
  if (id < 0) return false;
  Flight& flight = flights_[id];
  if (with_body) flight.body = o.fill_in ? fill_template(o.body) : o.body;
  flight.begun = steady_clock::now();
  ++lane_.result.sent;
  return true;
}

void Connection::finished(std::int32_t id, std::uint32_t code) {
  const auto place = flights_.find(id);
  if (place == flights_.end()) return;
  const auto now = steady_clock::now();
  if (now >= lane_.counted_from && now <= lane_.end) {
    if (code == NGHTTP2_NO_ERROR && place->second.status != 0) {
      ++lane_.result.statuses[place->second.status];
      lane_.result.latencies.add(now - place->second.begun);
      if (place->second.status == 200) {
        const auto pause = now - std::exchange(lane_.last_success, now);
        lane_.result.longest_pause = std::max<std::chrono::nanoseconds>(lane_.result.longest_pause, pause);
      }
    } else {
      ++lane_.result.errors[fmt::format("stream reset: {}", nghttp2_http2_strerror(code))];
    }
  }
  flights_.erase(place);
  if (closed_) return;
  if (!lane_.draining && now < lane_.end) {
    request();
  } else if (lane_.draining && flights_.empty()) {
    close({});
  }
}

void Connection::read() {
  stream_.async_read_some(asio::buffer(in_),
                          [self = shared_from_this()](boost::system::error_code failed, std::size_t size) {
                            if (self->closed_) return;
                            if (failed) return self->close("connection lost: " + failed.message());
                            if (nghttp2_session_mem_recv(self->session_, self->in_.data(), size) < 0)
                              return self->close("malformed HTTP/2");
                            if (nghttp2_session_want_read(self->session_) == 0)
                              return self->close("connection ended by the server");
                            self->write();
                            self->read();
                          });
}

void Connection::write() {
  if (writing_ || closed_) return;
  out_.clear();
  while (out_.size() < 64 * 1024) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) break;
    out_.insert(out_.end(), bytes, bytes + size);
  }
  if (out_.empty()) return;
  writing_ = true;
  asio::async_write(stream_, asio::buffer(out_),
                    [self = shared_from_this()](boost::system::error_code failed, std::size_t) {
                      self->writing_ = false;
                      if (failed && !self->closed_) return self->close("connection lost: " + failed.message());
                      self->write();
                    });
}

void Connection::close(const std::string& why) {
  if (closed_) return;
  closed_ = true;
  if (!why.empty()) ++lane_.result.errors[why];
  timer_.cancel();
  boost::system::error_code ignored;
  stream_.next_layer().close(ignored);
}

// Ends the lane's load when its `finished` says so.
void watch(asio::steady_timer& timer, Lane& lane, const std::vector<std::shared_ptr<Connection>>& all) {
  timer.expires_after(look_again);
  timer.async_wait([&](boost::system::error_code) {
    if (!lane.options.finished()) return watch(timer, lane, all);
    lane.draining = true;
    for (const auto& connection : all) connection->drain();
  });
}

// The connections of one thread: made first, then started together.
Result<LoadResult> run_lane(const LoadOptions& options, const Destination& to, unsigned connections) {
  http::ClientConfig config;
  config.anchors = options.anchors;
  config.certificate = options.certificate;
  config.private_key = options.private_key;
  AVSEAL_TRY(auto tls, http::make_client_tls(config));
  asio::io_context context(1);
  boost::system::error_code failed;
  const auto addresses = tcp::resolver(context).resolve(to.host, to.port, failed);
  if (failed)
    return errors::make(Category::unavailable, "bench-connect",
                        fmt::format("cannot resolve {}: {}", to.host, failed.message()));
  Lane lane{options, to, {}, {}, {}};
  asio::steady_timer timer(context);
  std::vector<std::shared_ptr<Connection>> all;
  for (unsigned i = 0; i < connections; ++i) {
    all.push_back(std::make_shared<Connection>(context, tls, lane));
    AVSEAL_CHECK(all.back()->connect(addresses));
  }
  const auto begun = steady_clock::now();
  lane.counted_from = options.finished ? begun : begun + options.warm_up;
  lane.end = options.finished ? steady_clock::time_point::max() : lane.counted_from + options.duration;
  lane.last_success = begun;
  if (options.finished) watch(timer, lane, all);
  for (const auto& connection : all) connection->start();
  context.run();
  const auto counted = options.finished ? steady_clock::now() - begun : options.duration;
  lane.result.seconds = std::chrono::duration<double>(counted).count();
  return lane.result;
}

}  // namespace

std::string fill_template(const std::string& text) {
  std::string out;
  out.reserve(text.size() + 32);
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with("{{uuid}}")) {
      out += tokens::random_uuid();
      at += 8;
    } else if (rest.starts_with("{{now}}")) {
      out += std::to_string(to_unix(system_clock_now()));
      at += 7;
    } else {
      const std::size_t next = text.find("{{", at + 1);
      out.append(text, at, next == std::string::npos ? std::string::npos : next - at);
      at = next == std::string::npos ? text.size() : next;
    }
  }
  return out;
}

Result<LoadResult> run_load(const LoadOptions& options) {
  AVSEAL_TRY(const Destination to, parse_destination(options));
  const unsigned lanes = std::clamp(options.threads, 1U, std::max(1U, options.connections));
  std::vector<std::optional<Result<LoadResult>>> results(lanes);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < lanes; ++i) {
    const unsigned share = options.connections / lanes + (i < options.connections % lanes ? 1 : 0);
    threads.emplace_back([&options, &to, &place = results[i], share] { place.emplace(run_lane(options, to, share)); });
  }
  for (std::thread& thread : threads) thread.join();
  LoadResult total;
  for (const auto& result : results) {
    if (!*result) return result->error();
    total.merge(**result);
    total.seconds = (*result)->seconds;
  }
  return total;
}

}  // namespace avseal::cli
