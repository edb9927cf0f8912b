// HTTPS clients: for roles that fetch (x5u, HSS), the reference XR AS, `avseal bench` and tests.
#pragma once

#include <filesystem>
#include <functional>

#include <boost/asio/ip/address.hpp>

#include "http/message.hpp"

namespace avseal::http {

struct ClientConfig {
  std::filesystem::path anchors;  // empty: `anchors_pem`
  std::string anchors_pem;
  std::filesystem::path certificate;  // client certificate and key, or empty
  std::filesystem::path private_key;
  std::chrono::milliseconds timeout{2000};  // of one whole exchange
  std::size_t max_body = 16 * 1024;
  // Called with each resolved address before connecting; the address that was checked is the one connected to. Empty:
  // all allowed.
  std::function<bool(const boost::asio::ip::address&)> address_allowed;
};

struct ClientResponse {
  unsigned status = 0;
  Headers headers;
  std::string body;
  std::optional<tokens::Certificate> peer;  // the server's certificate
  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_name) const;
};

// One HTTP/1.1 exchange over a fresh TLS 1.3 connection; never follows redirects. Reasons "fetch-timeout",
// "fetch-refused-address", "fetch-tls", "fetch-too-large", "fetch-failed".
boost::asio::awaitable<Result<ClientResponse>> fetch(const ClientConfig& config, Method method, std::string url,
                                                     Headers headers = {}, std::string body = {});
// The same with the answer's body given to `sink` in pieces, for content up to max_body bytes.
boost::asio::awaitable<Result<ClientResponse>> fetch_to(const ClientConfig& config, std::string url, Headers headers,
                                                        std::function<Result<void>(ByteView)> sink);

}  // namespace avseal::http
