#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "http/client_table.hpp"
#include "ledger/event.hpp"
#include "tokens/certificate.hpp"
#include "tokens/result.hpp"

namespace avseal::http {

using Deadline = std::chrono::steady_clock::time_point;
enum class Method { get, head, put, post, del };
std::string_view to_string(Method method);  // "GET"
std::optional<Method> parse_method(std::string_view text);
struct Route;

// Names are lower case. A repeated header is refused by the parser, except where lists are allowed (then joined with ",
// ").
using Headers = std::vector<std::pair<std::string, std::string>>;

// A body that is not held in memory, in order, once.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next bytes; empty at the end. "body-too-large", "body-truncated", "deadline".
  virtual boost::asio::awaitable<Result<Bytes>> read() = 0;
};

// Where the bytes of a large answer come from. `size` is sent as Content-Length; an error midway resets the stream.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual boost::asio::awaitable<Result<Bytes>> next() = 0;  // empty at the end
};

struct Request {
  Method method = Method::get;
  std::string path;                               // decoded, without query
  std::map<std::string, std::string> parameters;  // of the route's pattern, percent-decoded
  std::map<std::string, std::string> query;       // decoded; repeated names are refused
  Headers headers;
  std::string body;                          // complete, unless the route streams
  BodyReader* stream = nullptr;              // set for routes with BodyMode::stream
  std::shared_ptr<BodyReader> stream_owner;  // keeps `stream` alive as long as the request
  std::optional<tokens::Certificate> peer;   // TLS client certificate; chain already verified against the `tls` anchors
  const Client* client = nullptr;            // entry of the client table; set on routes that require a client
  std::shared_ptr<const ClientTable> clients;  // the table, which may be replaced meanwhile
  std::string peer_address;
  std::string request_id;  // X-Request-Id of the caller if well-formed, else made; echoed in every answer
  Deadline deadline;
  const Route* route = nullptr;  // known once the path is
  std::string_view refusal;      // reason of the refusal that was answered, if any
  ledger::Receipt receipt = std::make_shared<std::optional<ledger::Position>>();  // of its last leaf; the answer tells

  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_name) const;
};

struct Response {
  unsigned status = 200;
  Headers headers;  // Content-Length is added
  std::string body;
  std::unique_ptr<BodySource> stream;  // instead of body; size in stream_size
  std::uint64_t stream_size = 0;

  static Response json(unsigned status, const boost::json::value& value);
  static Response text(unsigned status, std::string_view content_type, std::string body);
  static Response empty(unsigned status);
  void set(std::string_view lower_name, std::string value);  // replaces or adds a header
};

}  // namespace avseal::http
