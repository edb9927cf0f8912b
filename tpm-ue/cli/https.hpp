// The one way out of this program: a POST of JSON over HTTPS.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "tokens/result.hpp"

struct ssl_ctx_st;

namespace avseal::ue {

struct HttpsRequest {
  std::string url;                // https://host[:port]/path
  std::filesystem::path anchors;  // the only CAs that are believed, PEM
  std::string body;               // JSON
  // Gives the connection a client certificate.
  std::function<Result<void>(ssl_ctx_st&)> authenticate{};
};

struct HttpsAnswer {
  unsigned status = 0;
  std::string body;
  std::string content_type;
  std::chrono::seconds retry_after{0};  // 0: the answer has none
};

// TLS 1.3, no redirect, no proxy, 10 s to connect and 60 s in all, at most 64 KiB of answer. Reasons "https-url",
// "https-failed", those of `authenticate`.
Result<HttpsAnswer> post(const HttpsRequest& request);

// What an answer that is no success says: the words and the reason of its problem+json, if it is one. `retry_after` is
// set where the same request may succeed later.
Error refusal(const std::string& url, const HttpsAnswer& answer);

}  // namespace avseal::ue
