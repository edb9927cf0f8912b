#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace avseal::signing {

// Fetching of signers' certificates (`x5u`). Hosts are "name" (port 443) or "name:port"; empty lists allow nothing.
struct FetcherConfig {
  std::vector<std::string> hosts;              // must resolve to public addresses
  std::vector<std::string> internal_hosts;     // may resolve to any address
  std::filesystem::path tls_anchors;           // for the certificates of those hosts
  std::chrono::milliseconds timeout{2000};     // of one whole exchange
  std::size_t max_body = 16 * 1024;            // bytes
  std::chrono::seconds lifetime{300};          // of a fetched chain in the cache
  std::chrono::seconds negative_lifetime{10};  // of a failure in the cache
  std::size_t max_entries = 1024;              // cached URLs
  std::size_t max_in_flight = 64;              // fetches at a time
};

// Who may sign PASSporTs. The files are read again by Trust::reload().
struct TrustConfig {
  std::filesystem::path anchors;    // the `stir` anchors, PEM
  std::filesystem::path crls;       // PEM, or empty
  std::filesystem::path deny_list;  // SHA-256 of refused certificates, hex, one a line; or empty
};

// An HSS-facing source of subscriptions instead of the local store.
struct HttpSourceConfig {
  std::string url;  // a GET of url + "/" + IMPU gives its subscription document
  std::filesystem::path tls_anchors;
  std::filesystem::path certificate;  // our client certificate and its TLS key
  std::filesystem::path private_key;
  std::chrono::milliseconds timeout{1000};
};

struct Config {
  std::string public_url;              // "https://sign.a.example", without a slash at the end; `x5u` starts with it
  std::chrono::seconds freshness{60};  // of `iat`, both ways
  TrustConfig trust;
  FetcherConfig fetcher;
  std::size_t replay_entries = 262'144;                 // PASSporTs remembered for `freshness`
  std::optional<HttpSourceConfig> subscription_source;  // absent: the local store
};

}  // namespace avseal::signing
