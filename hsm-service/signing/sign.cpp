#include "http/event.hpp"
#include "http/idempotency_key.hpp"
#include "signing/ms_errors.hpp"
#include "signing/ms_messages.hpp"
#include "signing/role.hpp"

namespace avseal::signing {
namespace {

namespace asio = boost::asio;

constexpr std::string_view iat_pointer = "/signingRequest/iat";

Result<void> check_iat(UnixSeconds iat, UnixSeconds now, std::int64_t freshness) {
  if (now - freshness <= iat && iat <= now + freshness) return {};
  return errors::make(Category::invalid, "iat-outside-window",
                      "expected iat within " + std::to_string(freshness) + " s of " + std::to_string(now) + ", found " +
                          std::to_string(iat),
                      std::string(iat_pointer));
}

Result<void> check_scope(const http::Client& client, const tokens::Passport& passport) {
  const auto& subscriber = passport.div ? *passport.div : passport.orig;
  if (!client.covers(subscriber.impu())) {
    return errors::make(Category::forbidden, "client-out-of-scope",
                        std::string("expected ") + (passport.div ? "div" : "orig") +
                            " among the domains and numbers of client " + client.id);
  }
  // A is the highest level and the smallest letter.
  if (passport.attest && *passport.attest < client.max_attest) {
    return errors::make(Category::forbidden, "attest-above-client",
                        std::string("expected attest ") + static_cast<char>(client.max_attest) +
                            " or lower for client " + client.id + ", found " + static_cast<char>(*passport.attest));
  }
  return {};
}

// The HSM declined, or the signature could not be had: either way it is not released.
ledger::Outcome outcome_of(const Error& error) {
  return error.reason == "hsm-refused" ? ledger::Outcome::refused : ledger::Outcome::discarded;
}

}  // namespace

ledger::Event sign_event(const http::Request& request, const tokens::Passport& passport) {
  auto event = event_of(request, passport.avatar ? "sign.avatar-id" : "sign." + passport.ppt);
  event.subjects.push_back({"orig", passport.orig.impu().canonical()});
  for (const auto& dest : passport.dest) event.subjects.push_back({"dest", dest.impu().canonical()});
  if (passport.div) event.subjects.push_back({"div", passport.div->impu().canonical()});
  if (passport.attest) {
    const char attest = static_cast<char>(*passport.attest);
    event.details = {{"attest", std::string_view(&attest, 1)}, {"origid", passport.origid}};
  }
  if (passport.avatar) {
    event.details["app"] = passport.avatar->app;
    event.details["avatar"] = passport.avatar->id;
  }
  return event;
}

asio::awaitable<Result<http::Response>> Role::sign(http::Request& request) {
  AVSEAL_CO_CHECK(check_accept(request));
  AVSEAL_CO_TRY(auto idempotency_key, http::idempotency_key(request));
  AVSEAL_CO_TRY(auto passport, parse_signing_request(request.body));
  AVSEAL_CO_CHECK(check_iat(passport.iat, now(), config_.freshness.count()));
  AVSEAL_CO_CHECK(check_scope(*request.client, passport));
  if (passport.avatar) {
    const auto subscribed = co_await check_avatar(passport);
    if (!subscribed) co_return subscribed.error();
  }
  // As one conditional expression, g++ 12 would destroy the result of one arm twice.
  Result<tokens::IdentityHeader> header = tokens::IdentityHeader{};
  if (idempotency_key) {
    header = co_await sign_once(request, std::move(passport), std::move(*idempotency_key));
  } else {
    header = co_await sign_anew(request, std::move(passport));
  }
  if (!header) co_return header.error();
  auto response = http::Response::json(
      200, format_signing_response(request.client->dialect, tokens::format_identity_header(*header)));
  echo_request_id(request, response);
  co_return response;
}

Role::Identity Role::sign_anew(const http::Request& request, tokens::Passport passport) {
  AVSEAL_CO_TRY(const keyring::SigningKeyPtr key, keyring_.keys().primary(keyring::KeyKind::avatar_id));
  passport.x5u = certificate_url(config_, key->certificate());
  auto compact = co_await sign_passport(request, passport, *key);
  count_signature(passport.ppt, compact ? std::string_view("released") : compact.error().reason);
  if (!compact) co_return compact.error();
  tokens::IdentityHeader header;
  header.passport = std::move(*compact);
  header.info = passport.x5u;
  header.alg = tokens::to_string(key->public_key.algorithm());
  header.ppt = passport.ppt;
  co_return header;
}

asio::awaitable<Result<void>> Role::check_avatar(const tokens::Passport& passport) {
  auto subscription = co_await source_->find(passport.orig.impu());
  if (!subscription) co_return subscription.error();
  if (!allows(*subscription, passport.avatar->id, passport.avatar->app)) {
    co_return errors::make(Category::forbidden, "avatar-not-subscribed",
                           "expected a subscription of orig with this Avatar-id for this application");
  }
  co_return Result<void>{};
}

asio::awaitable<Result<std::string>> Role::sign_passport(const http::Request& request, const tokens::Passport& passport,
                                                         const keyring::SigningKey& key) {
  AVSEAL_CO_TRY(const std::string input, tokens::build_passport(passport, key.public_key.algorithm()));
  auto event = sign_event(request, passport);
  auto slot = co_await ledger_.open_slot(std::move(event));
  if (!slot) co_return slot.error();
  const ByteView bytes = as_bytes(input);
  auto signature = co_await keyring_.sign(*slot, key, bytes, request.deadline);
  if (!signature) {
    const Error error = signature.error();
    co_await slot->commit(outcome_of(error), error.reason);
    co_return error;
  }
  auto committed = co_await slot->commit(ledger::Outcome::released);
  if (!committed) co_return committed.error();
  co_return tokens::jws_assemble(input, *signature);
}

}  // namespace avseal::signing
