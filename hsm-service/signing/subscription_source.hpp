#pragma once

#include <atomic>
#include <unordered_map>

#include "http/client.hpp"
#include "signing/config.hpp"
#include "store/interfaces.hpp"

namespace avseal::signing {

using SubscriptionPtr = std::shared_ptr<const store::Subscription>;  // null: the IMPU has none

// Which Avatar-ids an IMPU may use, in which applications. Used on one io thread.
class SubscriptionSource {
 public:
  virtual ~SubscriptionSource() = default;
  // Error "subscription-source-unavailable" (unavailable) or the store's: then nothing is granted.
  virtual boost::asio::awaitable<Result<SubscriptionPtr>> find(tokens::Impu impu) = 0;
};

bool allows(const SubscriptionPtr& subscription, std::string_view avatar_id, std::string_view application);

// The local store behind a read cache that is at most 1 s old.
class LocalSubscriptionSource final : public SubscriptionSource {
 public:
  // writes: counted up after every write of this process, on whichever thread; what was read before is not used any
  // more.
  LocalSubscriptionSource(store::Subscriptions& store, std::shared_ptr<const std::atomic<std::uint64_t>> writes,
                          Clock clock)
      : store_(store), writes_(std::move(writes)), clock_(std::move(clock)) {}
  boost::asio::awaitable<Result<SubscriptionPtr>> find(tokens::Impu impu) override;

 private:
  struct Cached {
    SubscriptionPtr subscription;
    std::chrono::system_clock::time_point read_at;
    std::uint64_t writes;
  };
  store::Subscriptions& store_;
  std::shared_ptr<const std::atomic<std::uint64_t>> writes_;
  const Clock clock_;
  std::unordered_map<std::string, Cached> cache_;
};

// An HSS-facing HTTPS source: 200 with a subscription document, 404 for none; everything else, a time-out too, fails
// closed.
class HttpSubscriptionSource final : public SubscriptionSource {
 public:
  explicit HttpSubscriptionSource(const HttpSourceConfig& config);
  boost::asio::awaitable<Result<SubscriptionPtr>> find(tokens::Impu impu) override;

 private:
  http::ClientConfig client_;
  const std::string url_;
};

// The subscription document:
// {"avatars":[{"applications":["xr-meeting"],"id":"urn:uuid:.."}],"impu":"sip:alice@a.example"}; impu may be left out,
// and must be `impu` if given. At most 256 avatars of at most 64 applications each.
Result<store::Subscription> parse_subscription(std::string_view body, const tokens::Impu& impu);
// application: only avatars for it, or all if empty.
boost::json::value format_subscription(const store::Subscription& subscription, std::string_view application = {});

}  // namespace avseal::signing
