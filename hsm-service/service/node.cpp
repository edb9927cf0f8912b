#include "service/node.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_future.hpp>
#include <spdlog/spdlog.h>

#include "service/log.hpp"

namespace avseal::service {

Node::Node(Shared& shared) : shared_(shared), work_(boost::asio::make_work_guard(context_)) {
  thread_ = std::thread([this] { context_.run(); });
}

Node::~Node() {
  stop();
}

void Node::stop() {
  if (!thread_.joinable()) return;
  if (keyring_) boost::asio::post(context_, [this] { keyring_->close(); });
  work_.reset();
  boost::asio::post(context_, [this] { context_.stop(); });
  thread_.join();
}

Result<void> Node::open_keyring(keyring::KeyringConfig config) {
  config.on_worker_lost = [this](const keyring::WorkerLoss& loss) { worker_lost(loss); };
  auto opened = boost::asio::co_spawn(
      context_, keyring::Keyring::open(config, shared_.keys, context_.get_executor(), *shared_.metrics),
      boost::asio::use_future);
  auto keyring = opened.get();
  if (!keyring) return keyring.error();
  keyring_ = std::move(*keyring);
  return {};
}

Result<void> Node::add_roles(store::Store& store) {
  const auto& config = shared_.config;
  auto& ledger = *shared_.ledger;
  auto& metrics = *shared_.metrics;
  router_ = std::make_unique<http::Router>(
      shared_.clients, [this](const http::Request& request, const http::Route* route, const Error& error) {
        return refused(request, route, error);
      });
  operations_ = std::make_unique<Operations>(shared_.keys, *keyring_, ledger, store, shared_.metrics, shared_.draining);
  operations_->add_routes(*router_);
  if (config.signing) {
    signing::Dependencies with{*keyring_,    ledger, store.subscriptions(), store.calls(), store.idempotency_keys(),
                               shared_.clock};
    signing_ = std::make_unique<signing::Role>(*config.signing, *shared_.signing, std::move(with), metrics);
    signing_->add_routes(*router_);
  }
  if (config.authorization) {
    local_signing_ = std::make_unique<LocalSigning>(signing_->verifier(), signing_->subscriptions());
    authorization::Dependencies with{*local_signing_,      *keyring_,     ledger,
                                     store.avatars(),      store.calls(), store.devices(),
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
    enrollment::Dependencies with{
        *keyring_, ledger, store.enrolment_codes(), store.devices(), *shared_.enrolment_limiter, shared_.clock};
    enrollment_ = std::make_unique<enrollment::Role>(*config.enrollment, std::move(with), metrics);
    enrollment_->add_routes(*router_);
  }
  return {};
}

namespace {

// The sequences that this thread knows of, for whoever reconciles them with the leaves' gaps.
boost::asio::awaitable<void> log_worker_death(ledger::Ledger& ledger, keyring::WorkerLoss loss) {
  boost::json::object last;
  for (const auto& [key, sequence] : loss.last_sequences) last[key] = sequence;
  ledger::Event event;
  event.type = "worker.lost";
  event.details = {{"in_flight", loss.in_flight},
                   {"last_sequences", std::move(last)},
                   {"token", loss.token},
                   {"worker", loss.instance}};
  auto slot = co_await ledger.open_slot(std::move(event));
  if (slot) {
    const auto index = co_await slot->commit(ledger::Outcome::released, "worker-lost");
    if (index) co_return;
  }
  spdlog::error("event=worker-death-unlogged worker={}", loss.instance);
}

}  // namespace

void Node::worker_lost(const keyring::WorkerLoss& loss) {
  spdlog::warn("event=worker-lost token={} worker={} in_flight={} detail={}", loss.token, loss.instance, loss.in_flight,
               log_value(loss.reason));
  boost::asio::co_spawn(context_, log_worker_death(*shared_.ledger, loss), boost::asio::detached);
}

// The one place where a refusal becomes a metric, a log line and a leaf.
boost::asio::awaitable<void> Node::refused(const http::Request& request, const http::Route* route, const Error& error) {
  const std::string name = route == nullptr ? "none" : route->event;
  shared_.refusals->Add({{"event", name}, {"reason", std::string(error.reason)}}).Increment();
  spdlog::info("event=refused route={} reason={} status={} client={} request_id={} detail={}", name, error.reason,
               http::status_of(error.category), request.client == nullptr ? "-" : request.client->id,
               request.request_id, log_value(error.detail));
  ledger::Event event;
  event.type = "refusal";
  event.request_id = request.request_id;
  event.details = {{"route", name}};
  if (request.client != nullptr) event.client = request.client->id;
  if (request.peer) event.actor_x5t = request.peer->fingerprint().to_x5t();
  co_await shared_.ledger->refused(std::move(event), std::string(error.reason));
}

}  // namespace avseal::service
