#include "http/event.hpp"
#include "signing/role.hpp"
#include "tokens/base64.hpp"
#include "tokens/digest.hpp"
#include "tokens/json.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;

Result<tokens::Impu> impu_of(const http::Request& request) {
  auto impu = tokens::Impu::parse(request.parameters.at("impu"));
  if (impu) return impu;
  Error error = impu.error();
  error.param = "{impu}";
  return error;
}

Error not_found() {
  return errors::make(Category::not_found, "subscription-not-found", "expected an IMPU with a subscription");
}

ledger::Event write_event(const http::Request& request, std::string type, const tokens::Impu& impu) {
  auto event = event_of(request, std::move(type));
  event.subjects.push_back({"sub", impu.canonical()});
  return event;
}

}  // namespace

asio::awaitable<Result<SubscriptionPtr>> Role::read_subscription(const http::Request& request) {
  AVSEAL_CO_TRY(auto impu, impu_of(request));
  if (request.client->role == http::ClientRole::ims_as && !request.client->covers(impu)) {
    co_return errors::make(Category::forbidden, "client-out-of-scope",
                           "expected an IMPU among the domains and numbers of client " + request.client->id);
  }
  auto found = co_await source_->find(std::move(impu));
  if (found && !*found) co_return not_found();
  co_return found;
}

asio::awaitable<Result<http::Response>> Role::get_subscription(http::Request& request) {
  auto found = co_await read_subscription(request);
  if (!found) co_return found.error();
  auto response = http::Response::json(200, format_subscription(**found));
  if ((*found)->version > 0) response.headers.emplace_back("etag", "\"" + std::to_string((*found)->version) + "\"");
  co_return response;
}

asio::awaitable<Result<http::Response>> Role::get_avatars(http::Request& request) {
  std::string application;
  if (const auto given = request.query.find("app"); given != request.query.end()) {
    auto checked = tokens::check_application_id(given->second);
    if (!checked) {
      Error error = checked.error();
      error.param = "query app";
      co_return error;
    }
    application = std::move(*checked);
  }
  auto found = co_await read_subscription(request);
  if (!found) co_return found.error();
  co_return http::Response::json(200, format_subscription(**found, application));
}

asio::awaitable<Result<http::Response>> Role::put_subscription(http::Request& request) {
  AVSEAL_CO_TRY(const auto impu, impu_of(request));
  AVSEAL_CO_TRY(auto subscription, parse_subscription(request.body, impu));
  const auto document = format_subscription(subscription);
  auto event = write_event(request, "subscription.put", impu);
  // A digest, for a leaf is smaller than a document may be.
  const auto digest = tokens::sha256(as_bytes(tokens::canonical_json(document)));
  event.details = {{"sha256", tokens::base64url_encode(digest)}};
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto version = co_await store_.put(std::move(subscription));
  subscription_writes_->fetch_add(1);
  if (!version) {
    const Error error = version.error();
    co_await slot->commit(ledger::Outcome::discarded, error.reason);
    co_return error;
  }
  auto committed = co_await slot->commit(ledger::Outcome::released);
  if (!committed) co_return committed.error();
  auto response = http::Response::json(*version == 1 ? 201 : 200, document);
  response.headers.emplace_back("etag", "\"" + std::to_string(*version) + "\"");
  co_return response;
}

asio::awaitable<Result<http::Response>> Role::delete_subscription(http::Request& request) {
  AVSEAL_CO_TRY(auto impu, impu_of(request));
  auto event = write_event(request, "subscription.delete", impu);
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  auto erased = co_await store_.erase(std::move(impu));
  subscription_writes_->fetch_add(1);
  if (erased && !*erased) erased = not_found();
  if (!erased) {
    const Error error = erased.error();
    co_await slot->commit(error.category == Category::not_found ? ledger::Outcome::refused : ledger::Outcome::discarded,
                          error.reason);
    co_return error;
  }
  auto committed = co_await slot->commit(ledger::Outcome::released);
  if (!committed) co_return committed.error();
  co_return http::Response::empty(204);
}

}  // namespace avseal::signing
