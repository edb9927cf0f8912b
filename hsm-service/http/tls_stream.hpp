#pragma once

#include <array>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>

namespace avseal::http {

// The server's side of TLS on a socket, as an asynchronous stream of Asio and Beast. OpenSSL reads and writes the
// socket itself and gives its buffers back when they are empty, so that a connection at rest holds none
// (asio::ssl::stream keeps four of 17 KiB). A pending operation keeps nothing alive: its caller holds the stream.
class TlsStream {
 public:
  using executor_type = boost::asio::any_io_executor;
  using next_layer_type = boost::asio::ip::tcp::socket;
  TlsStream(next_layer_type socket, boost::asio::ssl::context& context);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] next_layer_type& next_layer() { return socket_; }
  [[nodiscard]] SSL* native_handle() { return ssl_.get(); }

  boost::asio::awaitable<boost::system::error_code> handshake();
  boost::asio::awaitable<boost::system::error_code> shutdown();  // until the peer says goodbye, too

  // The bytes come into the buffer just before the handler runs, in the same turn of the io_context: connections of one
  // thread may share a buffer.
  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
        Operation<Reading>{*this, Reading{first_of(buffers)}}, token, socket_);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
        Operation<Writing<Buffers>>{*this, Writing<Buffers>{buffers}}, token, socket_);
  }

 private:
  static constexpr std::size_t record_size = 16 * 1024;
  enum class Want { nothing, input, output };
  struct Step {
    Want want = Want::nothing;  // what has to come before another try
    boost::system::error_code error;
    std::size_t size = 0;
  };
  Step step(int result, std::size_t size);
  Step read(boost::asio::mutable_buffer buffer);
  Step write(boost::asio::const_buffer buffer);
  [[nodiscard]] bool holds_input() const { return SSL_has_pending(ssl_.get()) == 1; }
  boost::asio::awaitable<boost::system::error_code> repeat(int (*call)(SSL*));

  template <class Buffers>
  static boost::asio::mutable_buffer first_of(const Buffers& buffers) {
    for (auto at = boost::asio::buffer_sequence_begin(buffers); at != boost::asio::buffer_sequence_end(buffers); ++at) {
      if (boost::asio::mutable_buffer(*at).size() > 0) return *at;
    }
    return {};
  }

  struct Reading {
    boost::asio::mutable_buffer buffer;
    Step operator()(TlsStream& stream) const { return stream.read(buffer); }
  };
  template <class Buffers>
  struct Writing {
    Buffers buffers;
    // Several buffers become one record: a header and a short body go in one packet.
    Step operator()(TlsStream& stream) const {
      const auto first = boost::asio::buffer_sequence_begin(buffers);
      if (std::next(first) == boost::asio::buffer_sequence_end(buffers)) return stream.write(*first);
      std::array<std::uint8_t, record_size> record;  // NOLINT(*-member-init): filled as far as it is used
      const std::size_t size = boost::asio::buffer_copy(boost::asio::buffer(record), buffers);
      return stream.write(boost::asio::buffer(record, size));
    }
  };

  // Tries, waits for what OpenSSL wants, tries again. The handler never runs inside the call that starts it.
  template <class Work>
  struct Operation {
    TlsStream& stream;
    Work work;
    enum class State { fresh, running, done } state = State::fresh;
    Step last{};

    template <class Self>
    void operator()(Self& self, boost::system::error_code failed = {}) {
      if (state == State::done) return self.complete(last.error, last.size);
      if (failed) return self.complete(failed, 0);
      const bool fresh = std::exchange(state, State::running) == State::fresh;
      if constexpr (std::is_same_v<Work, Reading>) {
        if (fresh) {
          if (stream.holds_input()) return boost::asio::post(stream.get_executor(), std::move(self));
          return stream.socket_.async_wait(next_layer_type::wait_read, std::move(self));
        }
      }
      last = work(stream);
      if (last.want != Want::nothing) {
        const bool input = last.want == Want::input;
        return stream.socket_.async_wait(input ? next_layer_type::wait_read : next_layer_type::wait_write,
                                         std::move(self));
      }
      if (!fresh) return self.complete(last.error, last.size);
      state = State::done;
      boost::asio::post(stream.get_executor(), std::move(self));
    }
  };

  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  next_layer_type socket_;
  std::unique_ptr<SSL, Free> ssl_;  // reads and writes socket_
};

}  // namespace avseal::http
