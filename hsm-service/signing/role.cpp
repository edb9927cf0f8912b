#include "signing/role.hpp"

#include "signing/ms_errors.hpp"

namespace avseal::signing {
namespace {

using http::ClientRole;
using http::Method;

prometheus::Family<prometheus::Counter>& counter(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(metrics);
}

std::unique_ptr<SubscriptionSource> make_source(const Config& config, const Shared& shared, const Dependencies& with) {
  if (config.subscription_source) return std::make_unique<HttpSubscriptionSource>(*config.subscription_source);
  return std::make_unique<LocalSubscriptionSource>(with.subscriptions, shared.subscription_writes, with.clock);
}

}  // namespace

Result<Shared> Shared::create(const Config& config, Clock clock) {
  Shared shared;
  AVSEAL_TRY(shared.verification, Verifier::Shared::create(config, std::move(clock)));
  shared.subscription_writes = std::make_shared<std::atomic<std::uint64_t>>(0);
  return shared;
}

Role::Role(const Config& config, Shared shared, Dependencies dependencies, prometheus::Registry& metrics)
    : config_(config),
      keyring_(dependencies.keyring),
      ledger_(dependencies.ledger),
      store_(dependencies.subscriptions),
      calls_(dependencies.calls),
      idempotency_keys_(dependencies.idempotency_keys),
      clock_(dependencies.clock),
      subscription_writes_(shared.subscription_writes),
      verifier_(config, shared.verification, dependencies.keyring),
      source_(make_source(config, shared, dependencies)),
      signatures_(counter(metrics, "avseal_ms_signatures_total", "PASSporTs signed, by ppt and outcome")),
      verifications_(counter(metrics, "avseal_ms_verifications_total", "PASSporTs verified, by ppt and reason")) {}

void Role::add_routes(http::Router& router) {
  add_ms(router, "/stir/v1/signing", "ms.signing", &Role::sign);
  add_ms(router, "/stir/v1/verification", "ms.verification", &Role::verify);

  const std::string subscription = "/subscriptions/v1/{impu}";
  const std::vector<ClientRole> readers{ClientRole::operator_, ClientRole::ims_as};
  add(router, Method::get, subscription, readers, "subscription.get", &Role::get_subscription);
  add(router, Method::get, subscription + "/avatars", readers, "subscription.avatars", &Role::get_avatars);
  if (!config_.subscription_source) {
    add(router, Method::put, subscription, {ClientRole::operator_}, "subscription.put", &Role::put_subscription);
    add(router, Method::del, subscription, {ClientRole::operator_}, "subscription.delete", &Role::delete_subscription);
  }
  // POST for SIP servers whose HTTP client knows nothing else.
  for (const Method method : {Method::put, Method::post}) {
    add(router, method, "/calls/v1/{origid}", {ClientRole::ims_as}, "call.state", &Role::put_call);
  }
}

void Role::add(http::Router& router, Method method, std::string pattern, std::vector<ClientRole> roles,
               std::string event, Handle handle) {
  http::Route route;
  route.method = method;
  route.pattern = std::move(pattern);
  route.roles = std::move(roles);
  if (method == Method::put || method == Method::post) {
    route.body = http::BodyMode::complete;
    route.content_types = {"application/json"};
  }
  route.event = std::move(event);
  route.handler = [this, handle](http::Request& request) { return (this->*handle)(request); };
  router.add(std::move(route));
}

void Role::add_ms(http::Router& router, std::string pattern, std::string event, Handle handle) {
  http::Route route;
  route.method = Method::post;
  route.pattern = std::move(pattern);
  route.roles = {ClientRole::ims_as};
  route.body = http::BodyMode::complete;
  route.content_types = {"application/json"};
  route.error_form = ms_error;
  route.timed = true;
  route.event = std::move(event);
  route.handler = [this, handle](http::Request& request) { return (this->*handle)(request); };
  router.add(std::move(route));
}

void Role::count_signature(const std::string& ppt, std::string_view outcome) {
  signatures_.Add({{"ppt", ppt}, {"outcome", std::string(outcome)}}).Increment();
}

void Role::count_verification(const std::string& ppt, std::string_view reason) {
  verifications_.Add({{"ppt", ppt}, {"reason", std::string(reason)}}).Increment();
}

}  // namespace avseal::signing
