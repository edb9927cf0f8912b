#include "service/reload.hpp"

#include <ctime>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "service/events.hpp"
#include "service/loaded_keys.hpp"
#include "service/log.hpp"
#include "service/node.hpp"

namespace avseal::service {
namespace {

namespace asio = boost::asio;

// The service manager wants the time at which a reload began.
void notify_reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld%06ld", static_cast<long long>(now.tv_sec), now.tv_nsec / 1000);
}

Result<void> check_restart(const Config& running, const Config& wanted) {
  const auto members = needs_restart(running, wanted);
  if (members.empty()) return {};
  return errors::make(Category::conflict, "configuration-needs-restart",
                      fmt::format("{}: needs a restart: {}", wanted.file.string(), fmt::join(members, ", ")));
}

Error stopped() {
  return errors::make(Category::unavailable, "stopping", "this node is stopping");
}

prometheus::Family<prometheus::Counter>& make_counter(prometheus::Registry& metrics) {
  auto& family = prometheus::BuildCounter()
                     .Name("avseal_reload_total")
                     .Help("Reloads of the configuration, by outcome: reloaded or refused")
                     .Register(metrics);
  for (const char* outcome : {"reloaded", "refused"}) family.Add({{"outcome", outcome}});
  return family;
}

}  // namespace

struct Reloader::Prepared {
  Config config;
  std::function<void()> trust;                     // puts the files of [signing] that were read again in force
  std::shared_ptr<const enrollment::Rules> rules;  // of [enrollment], likewise
  NodeChange change;
  ledger::Event keys_loaded;
  std::vector<std::shared_ptr<keyring::Prepared>> keyrings;  // of the nodes, in order
};

Reloader::Reloader(Shared& shared, Control& control, std::unique_ptr<keyring::Workers> workers)
    : shared_(shared),
      control_(control),
      current_(std::make_shared<const Config>(shared.config)),
      workers_(std::move(workers)),
      reloads_(make_counter(*shared.metrics)),
      certificates_(*shared.metrics) {}

Reloader::~Reloader() {
  finish();
}

void Reloader::start(store::KeyStates& states, store::DocumentVersions& versions) {
  states_ = &states;
  versions_ = &versions;
  certificates_.show(*shared_.keys);
  thread_ = std::thread([this] { run(); });
  control_.on_reload([this] { request(); });
}

void Reloader::finish() {
  if (!thread_.joinable()) return;
  control_.on_reload({});
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Reloader::request() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  wake_.notify_one();
}

std::shared_ptr<const Config> Reloader::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void Reloader::post(Job job, ledger::Completion<Result<void>> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      jobs_.emplace_back(std::move(job), std::move(done));
      wake_.notify_one();
      return;
    }
  }
  done(stopped());
}

void Reloader::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return wanted_ || stopping_ || !jobs_.empty(); });
    auto jobs = std::exchange(jobs_, {});
    const bool wanted = std::exchange(wanted_, false);
    const bool stopping = stopping_;
    lock.unlock();
    for (auto& [job, done] : jobs) done(stopping ? stopped() : job());
    if (stopping) return;
    if (wanted) {
      notify_reloading();
      reload();
      sd_notify(0, "READY=1");
    }
    lock.lock();
  }
}

void Reloader::reload() {
  spdlog::info("event=configuration-reloading file={}", log_value(current_->file.string()));
  Prepared next;
  auto loaded = load_config(current_->file);
  if (!loaded) return refuse(next.config, loaded.error());
  next.config = std::move(*loaded);
  auto prepared = prepare_reload(next);
  if (prepared) prepared = log_reload(next);
  if (!prepared) {
    next.keyrings.clear();
    workers_->abandon();
    return refuse(next.config, prepared.error());
  }
  set_log_level(next.config.log_level);
  for (auto& retired : adopt(std::move(next))) retired.get();
  workers_->adopt();
  reloads_.Add({{"outcome", "reloaded"}}).Increment();
  spdlog::info("event=configuration-reloaded file={} digest={}", log_value(current_->file.string()), current_->digest);
}

Result<void> Reloader::take_keys(const std::vector<KeyStateRow>& rows, const Job& decide) {
  Prepared next;
  next.config = *current_;
  AVSEAL_CHECK(prepare_nodes(next, rows));
  AVSEAL_CHECK(decide());
  (void)adopt(std::move(next));
  return {};
}

Result<void> Reloader::prepare_reload(Prepared& next) {
  AVSEAL_CHECK(check_restart(*current_, next.config));
  if (shared_.signing) {
    AVSEAL_TRY(next.trust, shared_.signing->verification.trust->reread());
  }
  if (shared_.enrollment && shared_.enrollment->rules) {
    AVSEAL_TRY(next.rules, shared_.enrollment->rules->reread());
    auto accepted =
        asio::co_spawn(control_.context(), enrollment::accept_documents(*versions_, next.rules), asio::use_future)
            .get();
    if (!accepted) return accepted.error();
  }
  auto states = asio::co_spawn(control_.context(), states_->all(), asio::use_future).get();
  if (!states) return states.error();
  AVSEAL_CHECK(workers_->prepare(next.config.spawn));
  return prepare_nodes(next, states->rows);
}

Result<void> Reloader::prepare_nodes(Prepared& next, const std::vector<KeyStateRow>& rows) const {
  auto keyring = next.config.keyring;
  AVSEAL_TRY(keyring.keys, with_states(std::move(keyring.keys), rows));
  workers_->add_sockets(keyring.tokens);
  AVSEAL_TRY(next.change.clients, http::ClientTable::create(next.config.clients));
  AVSEAL_TRY(next.change.keys, keyring::Keys::load(keyring.keys, to_unix(shared_.clock())));
  next.keys_loaded = keys_loaded(next.config, rows, *next.change.keys);
  next.change.retired = retired_keys(rows);
  next.change.authorization = next.config.authorization;
  if (next.config.dac) next.change.issuers = next.config.dac->issuers;
  for (Node* node : shared_.nodes) {
    auto opened = asio::co_spawn(node->context(), node->prepare(keyring, next.change.keys), asio::use_future).get();
    if (!opened) return opened.error();
    next.keyrings.push_back(std::move(*opened));
  }
  return {};
}

// The leaf comes before anything changes.
Result<void> Reloader::log_reload(const Prepared& next) const {
  ledger::Event event;
  event.type = "configuration.reloaded";
  event.details = {{"before", current_->digest}, {"digest", next.config.digest}};
  return asio::co_spawn(control_.context(), log_event(*shared_.ledger, std::move(event)), asio::use_future).get();
}

std::vector<std::future<void>> Reloader::adopt(Prepared next) {
  shared_.leaves->tell(std::move(next.keys_loaded)).wait();  // nothing may be signed by a key that no leaf names
  if (next.trust) next.trust();
  if (next.rules) {
    warn_of_profile(*next.rules);
    shared_.enrollment->rules->use(next.rules);
  }
  certificates_.show(*next.change.keys);
  std::vector<std::future<void>> retired;
  for (std::size_t i = 0; i < shared_.nodes.size(); ++i) {
    Node& node = *shared_.nodes[i];
    retired.push_back(
        asio::co_spawn(node.context(), node.adopt(next.change, std::move(next.keyrings[i])), asio::use_future));
  }
  // A node changes before it waits, so what comes after it there finds it changed.
  for (Node* node : shared_.nodes) asio::post(node->context(), std::packaged_task<void()>([] {})).get();
  const std::lock_guard lock(mutex_);
  current_ = std::make_shared<const Config>(std::move(next.config));
  return retired;
}

void Reloader::refuse(const Config& wanted, const Error& error) {
  reloads_.Add({{"outcome", "refused"}}).Increment();
  spdlog::error("event=configuration-refused reason={} detail={}", error.reason, log_value(error.detail));
  boost::json::object details{{"detail", error.detail}};
  if (!wanted.digest.empty()) details["digest"] = wanted.digest;
  shared_.leaves->tell("configuration.refused", std::move(details), ledger::Outcome::refused, error.reason);
}

}  // namespace avseal::service
