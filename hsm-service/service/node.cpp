#include "service/node.hpp"

#include <algorithm>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <spdlog/spdlog.h>

#include "http/event.hpp"
#include "service/log.hpp"
#include "tokens/digest.hpp"

namespace avseal::service {
namespace {

constexpr std::chrono::milliseconds late_retry{250};
constexpr std::chrono::milliseconds settle_poll{10};

boost::json::object json_of(const std::vector<std::pair<std::string, std::uint64_t>>& sequences) {
  boost::json::object by_key;
  for (const auto& [key, sequence] : sequences) by_key[key] = sequence;
  return by_key;
}

}  // namespace

Node::Node(Shared& shared) : shared_(shared), work_(boost::asio::make_work_guard(context_)) {
  thread_ = std::thread([this] { context_.run(); });
}

Node::~Node() {
  stop();
}

void Node::stop() {
  if (!thread_.joinable()) return;
  if (keyring_) boost::asio::co_spawn(context_, close_keyring(), boost::asio::use_future).get();
  work_.reset();
  boost::asio::post(context_, [this] { context_.stop(); });
  thread_.join();
}

void Node::settle(std::chrono::steady_clock::time_point until) {
  if (keyring_) boost::asio::co_spawn(context_, give_up_late(until), boost::asio::use_future).get();
}

keyring::KeyringConfig Node::with_hooks(keyring::KeyringConfig config) {
  config.on_worker_connected = [this](const keyring::WorkerCounts& counts) { worker_connected(counts); };
  config.on_worker_lost = [this](const keyring::WorkerLoss& loss) { worker_lost(loss); };
  config.on_late_use = [this] { late_use(); };
  config.on_breaker = [this](const keyring::BreakerChange& change) { breaker_changed(change); };
  config.may_sign = [&guard = *shared_.clock_guard] { return guard.check(); };
  return config;
}

Result<void> Node::open_keyring(keyring::KeyringConfig config) {
  auto opened = boost::asio::co_spawn(
      context_,
      keyring::Keyring::open(with_hooks(std::move(config)), shared_.keys, context_.get_executor(), *shared_.metrics),
      boost::asio::use_future);
  auto keyring = opened.get();
  if (!keyring) return keyring.error();
  keyring_ = std::move(*keyring);
  return {};
}

Result<void> Node::add_roles(store::Store& store, KeyChanges& key_changes) {
  const auto& config = shared_.config;
  auto& ledger = *shared_.ledger;
  auto& metrics = *shared_.metrics;
  router_ = std::make_unique<http::Router>(
      shared_.clients,
      [this](const http::Request& request, const http::Route* route, const Error& error) {
        return refused(request, route, error);
      },
      [&guard = *shared_.clock_guard] { return guard.check(); });
  operations_ = std::make_unique<Operations>(shared_, *keyring_, store);
  operations_->add_routes(*router_);
  operator_routes_ = std::make_unique<OperatorRoutes>(shared_, store.operator_states());
  operator_routes_->add_routes(*router_);
  key_routes_ = std::make_unique<KeyRoutes>(key_changes, *keyring_, ledger);
  key_routes_->add_routes(*router_);
  ledger_http::Dependencies with_log{ledger, store.subject_keys(), *keyring_, shared_.cosigned};
  ledger_routes_ = std::make_unique<ledger_http::Routes>(config.ledger_http, with_log, metrics);
  ledger_routes_->add_routes(*router_);
  if (config.signing) {
    signing::Dependencies with{*keyring_,    ledger, store.subscriptions(), store.calls(), store.idempotency_keys(),
                               shared_.clock};
    signing_ = std::make_unique<signing::Role>(*config.signing, *shared_.signing, std::move(with), metrics);
    signing_->add_routes(*router_);
  }
  if (config.authorization) {
    local_signing_ = std::make_unique<LocalSigning>(signing_->verifier(), signing_->subscriptions());
    authorization::Dependencies with{*local_signing_,      *keyring_,     ledger,
                                     store.avatars(),      store.calls(), store.ue_certificates(),
                                     store.replay_cache(), shared_.clock};
    authorization_ = std::make_unique<authorization::Role>(*config.authorization, std::move(with), metrics);
    authorization_->add_routes(*router_);
  }
  if (config.dac) {
    dac::Dependencies with{*keyring_, ledger, store.avatars(), shared_.clock};
    dac_ = std::make_unique<dac::Role>(*config.dac, std::move(with), metrics);
    dac_->add_routes(*router_);
  }
  if (config.enrollment) {
    enrollment::Dependencies with{*keyring_,
                                  ledger,
                                  store.enrolment_codes(),
                                  store.ue_certificates(),
                                  store.devices(),
                                  store.manifests(),
                                  *shared_.enrollment,
                                  shared_.clock};
    enrollment_ = std::make_unique<enrollment::Role>(*config.enrollment, with, metrics);
    enrollment_->add_routes(*router_);
  }
  return {};
}

boost::asio::awaitable<Result<std::shared_ptr<keyring::Prepared>>> Node::prepare(
    keyring::KeyringConfig config, std::shared_ptr<const keyring::Keys> keys) {
  return keyring_->prepare(with_hooks(std::move(config)), std::move(keys));
}

boost::asio::awaitable<void> Node::adopt(NodeChange change, std::shared_ptr<keyring::Prepared> prepared) {
  operations_->keep_certificates(to_unix(shared_.clock()), change.retired);
  router_->use_clients(std::move(change.clients));
  if (authorization_) authorization_->use(std::move(*change.authorization));
  if (dac_) dac_->use_issuers(std::move(change.issuers));
  co_await keyring_->adopt(std::move(prepared));
}

// How far the worker has counted, for whoever reconciles that with the leaves: now, or as far as this thread knows.
void Node::worker_connected(const keyring::WorkerCounts& counts) {
  boost::json::object details{
      {"last_sequences", json_of(counts.last_sequences)}, {"token", counts.token}, {"worker", counts.instance}};
  shared_.leaves->tell("worker.connected", std::move(details));
}

void Node::worker_lost(const keyring::WorkerLoss& loss) {
  spdlog::warn("event=worker-lost token={} worker={} in_flight={} detail={}", loss.token, loss.instance, loss.in_flight,
               log_value(loss.reason));
  boost::json::object details{{"id", tokens::random_uuid()},
                              {"in_flight", loss.in_flight},
                              {"last_sequences", json_of(loss.last_sequences)},
                              {"token", loss.token},
                              {"worker", loss.instance}};
  shared_.leaves->tell("worker.lost", std::move(details), ledger::Outcome::released, "worker-lost");
}

// They are told at once, for who reconciles the leaves takes a number that is missing for long for a signature that was
// hidden.
void Node::late_use() {
  if (std::exchange(telling_late_uses_, true)) return;
  boost::asio::co_spawn(context_, tell_late_uses(), boost::asio::detached);
}

boost::asio::awaitable<void> Node::tell_late_uses() {
  boost::asio::steady_timer timer(context_);
  while (keyring_ && keyring_->has_late_uses()) {
    ledger::Event event;
    event.type = "keys.late";
    const bool last = ending_;
    auto opening = last ? shared_.ledger->open_last_slot(event) : shared_.ledger->open_slot(event);
    auto slot = co_await std::move(opening);
    if (!slot && (last || shared_.ledger->stopped())) {
      shared_.leaves->lost(event, slot.error());
      break;
    }
    if (!slot) {
      timer.expires_after(late_retry);
      co_await timer.async_wait(boost::asio::use_awaitable);
      continue;
    }
    keyring_->tell_late_uses(*slot);
    auto logged = co_await slot->commit(ledger::Outcome::discarded, "answer-late");
    if (!logged && (last || shared_.ledger->stopped())) shared_.leaves->lost(event, logged.error());
  }
  telling_late_uses_ = false;
}

boost::asio::awaitable<void> Node::give_up_late(std::chrono::steady_clock::time_point until) {
  ending_ = true;
  const auto owes = [](const keyring::TokenStatus& token) { return token.in_flight != 0; };
  boost::asio::steady_timer timer(context_);
  for (;;) {
    const auto tokens = keyring_->tokens();
    if (std::none_of(tokens.begin(), tokens.end(), owes) || std::chrono::steady_clock::now() >= until) break;
    timer.expires_after(settle_poll);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  keyring_->give_up_late();
  co_await tell_late_uses();
}

boost::asio::awaitable<void> Node::close_keyring() {
  ending_ = true;
  keyring_->close();
  co_await tell_late_uses();
}

void Node::breaker_changed(const keyring::BreakerChange& change) {
  const char* const state = change.open ? "open" : "closed";
  spdlog::log(change.open ? spdlog::level::warn : spdlog::level::info,
              "event=token-breaker token={} state={} detail={}", change.token, state, log_value(change.why));
  boost::json::object details{{"state", state}, {"token", change.token}};
  if (change.open) details["detail"] = change.why;
  shared_.leaves->tell("token.breaker", std::move(details));
}

// The one place where a refusal becomes a metric, a log line and a leaf.
boost::asio::awaitable<void> Node::refused(const http::Request& request, const http::Route* route, const Error& error) {
  const std::string name = route == nullptr ? "none" : route->event;
  shared_.refusals->Add({{"event", name}, {"reason", std::string(error.reason)}}).Increment();
  spdlog::info("event=refused route={} reason={} status={} client={} request_id={} detail={}", name, error.reason,
               http::status_of(error.category), request.client == nullptr ? "-" : request.client->id,
               request.request_id, log_value(error.detail));
  auto event = event_of(request, "refusal", {}, {{"route", name}});
  co_await shared_.ledger->refused(std::move(event), std::string(error.reason));
}

}  // namespace avseal::service
