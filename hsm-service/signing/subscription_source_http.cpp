#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>

#include "signing/subscription_source.hpp"

namespace avseal::signing {
namespace {

constexpr std::size_t max_document = 64 * 1024;

Error unavailable(std::string detail) {
  auto error = errors::make(Category::unavailable, "subscription-source-unavailable", std::move(detail));
  error.retry_after = std::chrono::seconds{1};
  return error;
}

}  // namespace

HttpSubscriptionSource::HttpSubscriptionSource(const HttpSourceConfig& config) : url_(config.url) {
  client_.anchors = config.tls_anchors;
  client_.certificate = config.certificate;
  client_.private_key = config.private_key;
  client_.timeout = config.timeout;
  client_.max_body = max_document;
}

boost::asio::awaitable<Result<SubscriptionPtr>> HttpSubscriptionSource::find(tokens::Impu impu) {
  std::string url = url_ + "/" + boost::urls::encode(impu.canonical(), boost::urls::unreserved_chars);
  http::Headers headers{{"accept", "application/json"}};
  std::string body;
  auto answer = co_await http::fetch(client_, http::Method::get, std::move(url), std::move(headers), std::move(body));
  if (!answer) {
    co_return unavailable("no answer from the subscription source: " + std::string(answer.error().reason) + ": " +
                          answer.error().detail);
  }
  if (answer->status == 404) co_return SubscriptionPtr{};
  if (answer->status != 200) {
    co_return unavailable("expected 200 or 404 from the subscription source, found " + std::to_string(answer->status));
  }
  auto subscription = parse_subscription(answer->body, impu);
  if (!subscription) {
    co_return unavailable("expected a subscription document from the subscription source: " +
                          subscription.error().detail);
  }
  co_return std::make_shared<const store::Subscription>(std::move(*subscription));
}

}  // namespace avseal::signing
