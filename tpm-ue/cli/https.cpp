#include "tpm-ue/cli/https.hpp"

#include <algorithm>
#include <charconv>
#include <curl/curl.h>
#include <memory>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "tokens/json.hpp"

namespace avseal::ue {
namespace {

constexpr std::size_t max_answer = 64 * 1024;
constexpr long connect_seconds = 10;
constexpr long total_seconds = 60;

struct FreeEasy {
  void operator()(CURL* curl) const noexcept { curl_easy_cleanup(curl); }
};
struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

struct Exchange {
  const HttpsRequest& request;
  HttpsAnswer answer;
  bool too_large = false;
  Result<void> authenticated{};
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (exchange.answer.body.size() + size > max_answer) {
    exchange.too_large = true;
    return 0;
  }
  exchange.answer.body.append(data, size);
  return size;
}

CURLcode set_up_tls(CURL*, void* tls, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.authenticated = exchange.request.authenticate(*static_cast<ssl_ctx_st*>(tls));
  return exchange.authenticated ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

Error failed(const std::string& url, std::string_view why) {
  return errors::make(Category::unavailable, "https-failed", fmt::format("{}: {}", url, why));
}

std::string_view advice(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return "; see that --cacert has the CA of this server, that the URL has the name in its certificate, and that "
             "this device's clock is right";
    case CURLE_SSL_CACERT_BADFILE:
      return "; --cacert must be a file of CA certificates in PEM";
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
      return "; see that the network is up and the URL is right";
    default:
      return "";
  }
}

// The reason of another program's problem, kept for as long as this one runs, as Error wants it.
std::string_view interned(std::string_view reason) {
  constexpr std::size_t most = 64;
  const auto kebab = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (reason.empty() || reason.size() > most || !std::all_of(reason.begin(), reason.end(), kebab)) return "refused";
  static std::mutex mutex;
  static std::set<std::string, std::less<>> known;
  const std::lock_guard lock(mutex);
  return *known.emplace(reason).first;
}

// One line of printable characters of what somebody else wrote.
std::string printable(std::string_view text) {
  constexpr std::size_t most = 1000;
  std::string line(text.substr(0, most));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return line;
}

}  // namespace

Result<HttpsAnswer> post(const HttpsRequest& request) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const auto& url = request.url;
  if (!url.starts_with("https://")) {
    return errors::make(Category::invalid, "https-url",
                        fmt::format("expected https://host[:port]/path, found \"{}\"", url));
  }
  const std::unique_ptr<CURL, FreeEasy> curl(curl_easy_init());
  std::unique_ptr<curl_slist, FreeList> headers;
  for (const char* header :
       {"Content-Type: application/json", "Accept: application/json, application/problem+json", "Expect:"}) {
    if (curl_slist* longer = curl_slist_append(headers.get(), header)) {
      static_cast<void>(headers.release());
      headers.reset(longer);
    }
  }
  if (started != CURLE_OK || !curl || !headers) return failed(url, "libcurl cannot be used");

  Exchange exchange{request, {}};
  char words[CURL_ERROR_SIZE] = "";
  CURL* const c = curl.get();
  CURLcode code = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (code == CURLE_OK) code = curl_easy_setopt(c, option, value);
  };
  set(CURLOPT_ERRORBUFFER, words);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "https");
  set(CURLOPT_PROXY, "");
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
  set(CURLOPT_CAINFO, request.anchors.c_str());
  set(CURLOPT_CAPATH, nullptr);
  set(CURLOPT_CONNECTTIMEOUT, connect_seconds);
  set(CURLOPT_TIMEOUT, total_seconds);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
  set(CURLOPT_POSTFIELDS, request.body.c_str());
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, &exchange);
  if (request.authenticate) {
    set(CURLOPT_SSL_CTX_FUNCTION, set_up_tls);
    set(CURLOPT_SSL_CTX_DATA, &exchange);
  }
  if (code == CURLE_OK) code = curl_easy_perform(c);
  if (!exchange.authenticated) return exchange.authenticated.error();
  if (exchange.too_large) return failed(url, "an answer above 64 KiB");
  if (code != CURLE_OK) {
    return failed(url, fmt::format("{}{}", *words != '\0' ? words : curl_easy_strerror(code), advice(code)));
  }

  long status = 0;
  curl_off_t retry_after = 0;
  const char* type = nullptr;
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &retry_after);
  curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
  exchange.answer.status = static_cast<unsigned>(status);
  exchange.answer.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(retry_after, 0, 3600));
  if (type != nullptr) exchange.answer.content_type = type;
  return std::move(exchange.answer);
}

Error refusal(const std::string& url, const HttpsAnswer& answer) {
  const bool later = answer.status == 429 || answer.status == 503;
  Error error = errors::make(later ? Category::unavailable : Category::forbidden, "refused",
                             fmt::format("{}: status {}", url, answer.status));
  if (later) error.retry_after = std::max(answer.retry_after, std::chrono::seconds(1));
  const auto body = tokens::parse_json(answer.body);
  const auto* problem = body ? body->if_object() : nullptr;
  if (problem == nullptr || !answer.content_type.starts_with("application/problem+json")) return error;
  const auto text = [problem](std::string_view name) -> std::string_view {
    const auto* value = problem->if_contains(name);
    const auto* string = value == nullptr ? nullptr : value->if_string();
    return string == nullptr ? std::string_view() : std::string_view(*string);
  };
  error.reason = interned(text("reason"));
  error.detail =
      fmt::format("{} (status {})", printable(text("detail").empty() ? text("title") : text("detail")), answer.status);
  return error;
}

}  // namespace avseal::ue
