#include "service/service.hpp"

#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <prometheus/counter.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "http/server.hpp"
#include "keyring/certificate_rules.hpp"
#include "service/checkpoint_signing.hpp"
#include "service/control.hpp"
#include "service/events.hpp"
#include "service/key_changes.hpp"
#include "service/loaded_keys.hpp"
#include "service/log.hpp"
#include "service/node.hpp"
#include "service/reload.hpp"
#include "service/row_key.hpp"
#include "service/token_states.hpp"

namespace avseal::service {
namespace {

using namespace std::chrono_literals;

constexpr auto start_limit = 30s;  // for the HSM to unwrap the row key
constexpr auto drain_limit = 10s;
constexpr auto settle_limit = 3s;  // for signatures that clients who left have asked for, and of the CRL

Result<std::unique_ptr<keyring::Workers>> start_workers(Shared& shared, Control& control) {
  const Config& config = shared.config;
  keyring::WorkersConfig workers;
  workers.socket_directory = config.socket_directory;
  workers.tokens = config.spawn;
  workers.metrics = shared.metrics.get();
  workers.on_end = [&shared](const keyring::WorkerEnd& end) {
    boost::json::object details{{"token", end.token}, {"worker", end.worker}};
    shared.leaves->tell("worker.ended", std::move(details), ledger::Outcome::refused, end.reason);
  };
  AVSEAL_TRY(auto running, keyring::Workers::start(std::move(workers), control.context()));
  AVSEAL_CHECK(keyring::check_replicas(config.keyring.keys, running->absent()));
  for (const auto& token : running->absent()) {
    spdlog::error("event=token-absent token={} detail={}", token.name, log_value(token.why));
  }
  return running;
}

// The store's row key needs the HSM, and which keys sign stands in the store: so first an io thread for dac-kek alone.
Result<std::shared_ptr<store::Store>> open_store(Shared& shared, keyring::KeyringConfig keyring) {
  const auto& config = shared.config;
  std::erase_if(keyring.keys, [](const auto& key) { return key.kind != keyring::KeyKind::dac_kek; });
  AVSEAL_TRY(shared.keys, keyring::Keys::load(keyring.keys, to_unix(shared.clock())));
  Node node(shared);
  AVSEAL_CHECK(node.open_keyring(std::move(keyring)));
  AVSEAL_TRY(const bool has_rows, shared.store_file->has_sealed_rows());
  const auto deadline = std::chrono::steady_clock::now() + start_limit;
  auto loaded =
      boost::asio::co_spawn(node.context(), load_row_key(node.keyring(), config.row_key_file, has_rows, deadline),
                            boost::asio::use_future)
          .get();
  if (!loaded) return loaded.error();
  return store::Store::open(shared.store_file, std::move(*loaded), *shared.metrics);
}

Result<void> take_key_states(Shared& shared, Control& control, store::KeyStates& states,
                             std::vector<keyring::KeyConfig>& keys) {
  auto table = boost::asio::co_spawn(control.context(), states.all(), boost::asio::use_future).get();
  if (!table) return table.error();
  AVSEAL_TRY(keys, with_states(std::move(keys), table->rows));
  AVSEAL_TRY(shared.keys, keyring::Keys::load(keys, to_unix(shared.clock())));
  // Nothing may be signed by a key that no leaf names, and a full log is read while it takes nothing else.
  auto loaded = keys_loaded(shared.config, table->rows, *shared.keys);
  auto logged = log_event(*shared.ledger, std::move(loaded), Room::reserve);
  return boost::asio::co_spawn(control.context(), std::move(logged), boost::asio::use_future).get();
}

Result<std::unique_ptr<http::Server>> listen(Shared& shared, std::vector<std::unique_ptr<Node>>& nodes) {
  std::vector<boost::asio::io_context*> contexts;
  std::vector<const http::Router*> routers;
  for (auto& node : nodes) {
    contexts.push_back(&node->context());
    routers.push_back(&node->router());
  }
  return http::Server::listen(shared.config.server, std::move(contexts), std::move(routers), *shared.metrics);
}

// Forgets staged content that nobody published, for as long as its io thread runs.
boost::asio::awaitable<void> expire_staged(const dac::Config& config, store::Avatars& avatars, Clock clock) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  for (;;) {
    timer.expires_after(10min);
    co_await timer.async_wait(boost::asio::use_awaitable);
    auto expired = co_await dac::expire_staged(config, avatars, to_unix(clock()));
    if (!expired)
      spdlog::warn("event=expire-staged-failed reason={} detail={}", expired.error().reason,
                   log_value(expired.error().detail));
  }
}

// Before the first request: makes the directory of the sealed content, deletes what an interrupted upload left.
Result<void> clear_avatars(const dac::Config& config, store::Avatars& avatars, Node& node) {
  std::error_code failed;
  std::filesystem::create_directories(config.directory, failed);
  if (failed) {
    return errors::make(
        Category::internal, "configuration-invalid",
        fmt::format("dac.directory {} cannot be made: {}", config.directory.string(), failed.message()));
  }
  auto removed =
      boost::asio::co_spawn(node.context(), dac::remove_orphans(config, avatars), boost::asio::use_future).get();
  if (!removed) return removed.error();
  boost::asio::co_spawn(node.context(), expire_staged(config, avatars, system_clock_now), boost::asio::detached);
  return {};
}

// Makes the directory of the evidence; says loudly when anybody's software would pass for a device.
Result<void> prepare_attestation(const enrollment::Config& config, const enrollment::Shared& shared) {
  if (!config.attestation) return {};
  const auto& directory = config.attestation->evidence_directory;
  if (!directory.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(directory, failed);
    if (!failed) std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failed);
    if (failed) {
      return errors::make(Category::internal, "configuration-invalid",
                          fmt::format("enrollment.evidence_directory {} cannot be made private: {}", directory.string(),
                                      failed.message()));
    }
  }
  warn_of_profile(*shared.rules->current());
  return {};
}

// No document may be older than one that was trusted before; from then on there is a CRL.
Result<void> start_enrollment(Shared& shared, store::Store& store, Control& control, Node& node) {
  if (shared.enrollment->rules) {
    auto accepted = boost::asio::co_spawn(
                        control.context(),
                        enrollment::accept_documents(store.document_versions(), shared.enrollment->rules->current()),
                        boost::asio::use_future)
                        .get();
    if (!accepted) return accepted.error();
  }
  enrollment::CrlDependencies with{node.keyring(), *shared.ledger, store.ue_certificates(), store.document_versions(),
                                   shared.clock};
  boost::asio::co_spawn(node.context(),
                        enrollment::publish_crls(std::move(with), shared.enrollment->crl, *shared.metrics),
                        boost::asio::detached);
  return {};
}

// What the clock guard saw goes into log and ledger.
std::function<void(const clock::Guard::Change&)> tell_clock(Shared& shared) {
  return [&shared](const clock::Guard::Change& change) {
    const auto type = clock::to_string(change.kind);
    spdlog::warn("event={} step_ms={} detail={}", type, change.step.count(), log_value(change.detail));
    boost::json::object details{{"step_ms", change.step.count()}};
    if (!change.detail.empty()) details["detail"] = change.detail;
    shared.leaves->tell(std::string(type), std::move(details));
  };
}

// Everything that needs the io threads; the caller owns what they use.
struct Serving {
  Shared& shared;
  Control& control;
  Reloader& reloader;
  KeyChanges& key_changes;
  store::Store& store;
  std::unique_ptr<clock::Monitor>& clock_monitor;
};

Result<void> serve_on(std::vector<std::unique_ptr<Node>>& nodes, const Serving& with,
                      const keyring::KeyringConfig& keyring_config) {
  auto& [shared, control, reloader, key_changes, store, clock_monitor] = with;
  for (unsigned i = 0; i < shared.config.threads; ++i) {
    auto node = std::make_unique<Node>(shared);
    AVSEAL_CHECK(node->open_keyring(keyring_config));
    AVSEAL_CHECK(node->add_roles(store, key_changes));
    shared.nodes.push_back(node.get());
    nodes.push_back(std::move(node));
  }
  const CheckpointSigning checkpoint_signing(*shared.ledger, *nodes.front());
  std::optional<Witnesses> witnesses;  // ends last: its destructor may wait for a name server
  if (!shared.config.witnesses.witnesses.empty()) {
    witnesses.emplace(shared.config.witnesses, *shared.ledger, shared.cosigned, shared.config.ledger.directory,
                      *shared.leaves, *shared.metrics);
  }
  AVSEAL_CHECK(
      boost::asio::co_spawn(control.context(), drain_again(shared, store.operator_states()), boost::asio::use_future)
          .get());
  if (shared.config.dac) {
    AVSEAL_CHECK(clear_avatars(*shared.config.dac, store.avatars(), *nodes.front()));
  }
  if (shared.enrollment) {
    AVSEAL_CHECK(start_enrollment(shared, store, control, *nodes.front()));
  }
  AVSEAL_TRY(auto server, listen(shared, nodes));
  spdlog::info("event=ready address={} port={} threads={}", shared.config.server.address, server->port(), nodes.size());
  reloader.start(store.key_states(), store.document_versions());
  sd_notify(0, "READY=1");

  control.wait_for_signal();
  spdlog::info("event=draining");
  sd_notify(0, "STOPPING=1");
  shared.draining = true;
  std::promise<void> drained;
  server->drain(drain_limit, [&] { drained.set_value(); });
  drained.get_future().wait();
  shared.leaves->hurry();  // a reload may wait for its leaf
  reloader.finish();
  clock_monitor.reset();
  if (witnesses) witnesses->stop();
  const auto settled = std::chrono::steady_clock::now() + settle_limit;
  for (auto& node : nodes) node->settle(settled);
  shared.leaves->finish();
  shared.ledger->close();  // resumes what waits for it and has its last checkpoint signed: the io threads must run
  for (auto& node : nodes) node->stop();
  server.reset();
  store.close();  // resumes what waits for it, so before the waiters' contexts end
  spdlog::info("event=stopped");
  return {};
}

// The leaf of a start that was stopped, in a ledger that could be opened.
void log_start_refused(Shared& shared, const Error& error) {
  shared.leaves->tell("start.refused", {{"detail", error.detail}}, ledger::Outcome::refused, error.reason);
  shared.leaves->finish();
}

Result<void> serve(Shared& shared, Control& control) {
  auto clock_monitor =
      std::make_unique<clock::Monitor>(shared.config.clock, *shared.clock_guard, tell_clock(shared), *shared.metrics);
  AVSEAL_TRY(auto workers, start_workers(shared, control));
  auto keyring_config = shared.config.keyring;
  workers->add_sockets(keyring_config.tokens);
  Reloader reloader(shared, control, std::move(workers));
  AVSEAL_TRY(const auto store, open_store(shared, keyring_config));
  shared.ledger->use_subject_keys(store->subject_keys());
  AVSEAL_CHECK(take_key_states(shared, control, store->key_states(), keyring_config.keys));

  KeyChanges key_changes(shared, control, reloader, store->key_states());
  std::vector<std::unique_ptr<Node>> nodes;
  auto served = serve_on(nodes, {shared, control, reloader, key_changes, *store, clock_monitor}, keyring_config);
  if (!served) {
    for (auto& node : nodes) node->stop();
    log_start_refused(shared, served.error());
    shared.ledger->close();  // resumes what waits for it on the nodes, which are there still
    store->close();
  }
  return served;
}

Result<void> open_ledger(Shared& shared, std::vector<keyring::SigningKey> keys) {
  auto config = shared.config.ledger;
  config.heads = &shared.store_file->ledger_heads();
  for (auto& key : keys) {
    if (key.kind == keyring::KeyKind::ledger) config.keys.push_back(std::move(key.public_key));
  }
  auto clock = [&guard = *shared.clock_guard] { return guard.unstepped(); };
  AVSEAL_TRY(shared.ledger, ledger::Ledger::open(std::move(config), std::move(clock), *shared.metrics));
  return {};
}

}  // namespace

Result<void> run(Config config) {
  AVSEAL_CHECK(start_log(config.log_target, config.log_level));
  Shared shared;
  shared.config = std::move(config);
  shared.metrics = std::make_shared<prometheus::Registry>();
  shared.refusals = &prometheus::BuildCounter()
                         .Name("avseal_refusals_total")
                         .Help("Requests refused, by route and reason")
                         .Register(*shared.metrics);
  AVSEAL_TRY(shared.clients, http::ClientTable::create(shared.config.clients));
  // Which keys sign is not known before the store is open; whether their files are good is.
  AVSEAL_TRY(auto keys, keyring::check_keys(shared.config.keyring.keys));
  if (shared.config.signing) {
    AVSEAL_TRY(auto signing, signing::Shared::create(*shared.config.signing, shared.clock));
    shared.signing = std::move(signing);
  }
  if (shared.config.enrollment) {
    AVSEAL_TRY(shared.enrollment, enrollment::Shared::create(*shared.config.enrollment));
    AVSEAL_CHECK(prepare_attestation(*shared.config.enrollment, *shared.enrollment));
  }
  AVSEAL_TRY(shared.store_file, store::StoreFile::open(shared.config.store_file, shared.clock, *shared.metrics));
  shared.clock_guard = std::make_unique<clock::Guard>(shared.config.clock.source);
  AVSEAL_CHECK(open_ledger(shared, std::move(keys)));

  Control control;
  OwnLeaves leaves(*shared.ledger, control.context().get_executor(), *shared.metrics);
  shared.leaves = &leaves;
  auto served = serve(shared, control);
  if (!served && !shared.ledger->stopped()) log_start_refused(shared, served.error());
  shared.ledger->close();  // resumes what waits for it, so before the control thread ends
  shared.store_file->close();
  return served;
}

}  // namespace avseal::service
