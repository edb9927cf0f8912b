#pragma once

#include <boost/asio/ssl/context.hpp>

#include "http/client.hpp"
#include "http/server.hpp"

namespace avseal::http {

// TLS 1.3 only, no tickets, ALPN h2 or http/1.1. A client certificate is asked for; one that is presented must chain to
// client_anchors and have the UE EKU exactly if `ue_certificates`. Reasons "tls-certificate", "tls-private-key",
// "tls-anchors", "tls-context".
Result<boost::asio::ssl::context> make_server_tls(const ServerConfig& config);

// TLS 1.3 only; the server must chain to the configured anchors, never to the system's.
Result<boost::asio::ssl::context> make_client_tls(const ClientConfig& config);

// Has `connection` agreed on HTTP/2?
bool negotiated_h2(SSL* connection);

// Why a handshake failed: "client-certificate-refused", "tls-version", "tls-alpn" or "tls-handshake".
std::string_view handshake_reason(SSL* connection, const boost::system::error_code& failed);

}  // namespace avseal::http
