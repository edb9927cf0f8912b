#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>

#include "http/router.hpp"
#include "keyring/keyring.hpp"
#include "ledger/ledger.hpp"
#include "signing/subscription_source.hpp"
#include "signing/verifier.hpp"

namespace avseal::signing {

// What the roles of all io threads share.
struct Shared {
  Verifier::Shared verification;
  std::shared_ptr<std::atomic<std::uint64_t>> subscription_writes;
  static Result<Shared> create(const Config& config, Clock clock);
};

// The services of one io thread that the role works with; they outlive it.
struct Dependencies {
  keyring::Keyring& keyring;
  ledger::Ledger& ledger;
  store::Subscriptions& subscriptions;
  store::CallStates& calls;
  store::IdempotencyKeys& idempotency_keys;
  Clock clock;
};

// Ms signing and verification, subscriptions and call states. One instance per io thread; it outlives the router.
class Role {
 public:
  Role(const Config& config, Shared shared, Dependencies dependencies, prometheus::Registry& metrics);

  // With an HTTP subscription source, subscriptions can only be read here.
  void add_routes(http::Router& router);

  [[nodiscard]] Verifier& verifier() { return verifier_; }
  [[nodiscard]] SubscriptionSource& subscriptions() { return *source_; }

 private:
  using Answer = boost::asio::awaitable<Result<http::Response>>;
  using Handle = Answer (Role::*)(http::Request&);

  void add(http::Router& router, http::Method method, std::string pattern, std::vector<http::ClientRole> roles,
           std::string event, Handle handle);
  void add_ms(http::Router& router, std::string pattern, std::string event, Handle handle);

  Answer sign(http::Request& request);
  boost::asio::awaitable<Result<void>> check_avatar(const tokens::Passport& passport);
  // An Identity header value, of a new signature; of the one signature that this Idempotency-Key stands for.
  using Identity = boost::asio::awaitable<Result<tokens::IdentityHeader>>;
  Identity sign_anew(const http::Request& request, tokens::Passport passport);
  Identity sign_once(const http::Request& request, tokens::Passport passport, std::string idempotency_key);
  Identity replay(const http::Request& request, tokens::Passport passport, std::string answer);
  boost::asio::awaitable<Result<std::string>> sign_passport(const http::Request& request,
                                                            const tokens::Passport& passport,
                                                            const keyring::SigningKey& key);
  Answer verify(http::Request& request);
  Answer get_subscription(http::Request& request);
  Answer get_avatars(http::Request& request);
  Answer put_subscription(http::Request& request);
  Answer delete_subscription(http::Request& request);
  Answer put_call(http::Request& request);
  boost::asio::awaitable<Result<SubscriptionPtr>> read_subscription(const http::Request& request);

  [[nodiscard]] UnixSeconds now() const { return to_unix(clock_()); }
  void count_signature(const std::string& ppt, std::string_view outcome);
  void count_verification(const std::string& ppt, std::string_view reason);

  const Config config_;
  keyring::Keyring& keyring_;
  ledger::Ledger& ledger_;
  store::Subscriptions& store_;
  store::CallStates& calls_;
  store::IdempotencyKeys& idempotency_keys_;
  const Clock clock_;
  std::shared_ptr<std::atomic<std::uint64_t>> subscription_writes_;
  Verifier verifier_;
  std::unique_ptr<SubscriptionSource> source_;
  prometheus::Family<prometheus::Counter>& signatures_;
  prometheus::Family<prometheus::Counter>& verifications_;
};

// The event of a signature for this request.
ledger::Event sign_event(const http::Request& request, const tokens::Passport& passport);

}  // namespace avseal::signing
