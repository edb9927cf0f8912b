#include "signing/subscription_source.hpp"

namespace avseal::signing {
namespace {

constexpr auto max_age = std::chrono::seconds{1};
constexpr std::size_t max_cached = 4096;

}  // namespace

boost::asio::awaitable<Result<SubscriptionPtr>> LocalSubscriptionSource::find(tokens::Impu impu) {
  const std::string key = impu.canonical();
  const auto now = clock_();
  const std::uint64_t writes = writes_->load();
  if (const auto cached = cache_.find(key); cached != cache_.end()) {
    const Cached& entry = cached->second;
    if (entry.writes == writes && entry.read_at <= now && now - entry.read_at < max_age) co_return entry.subscription;
    cache_.erase(cached);
  }
  auto found = co_await store_.find(std::move(impu));
  if (!found) co_return found.error();
  SubscriptionPtr subscription;
  if (*found) subscription = std::make_shared<const store::Subscription>(std::move(**found));
  if (cache_.size() >= max_cached) cache_.clear();
  cache_.insert_or_assign(key, Cached{subscription, now, writes});
  co_return subscription;
}

}  // namespace avseal::signing
