#include "service/reload.hpp"

#include <ctime>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include "service/events.hpp"
#include "service/log.hpp"

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
  std::optional<SpawnedWorkers> workers;
  std::function<void()> trust;  // puts the files of [signing] that were read again in force
  NodeChange change;
  std::vector<std::shared_ptr<keyring::Prepared>> keyrings;  // of the nodes, in order
};

Reloader::Reloader(Shared& shared, Control& control, SpawnedWorkers workers)
    : shared_(shared),
      control_(control),
      current_(shared.config),
      workers_(std::move(workers)),
      reloads_(make_counter(*shared.metrics)),
      certificates_(*shared.metrics) {
  certificates_.show(*shared.keys);
}

Reloader::~Reloader() {
  finish();
}

void Reloader::start() {
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

void Reloader::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return wanted_ || stopping_; });
    if (stopping_) return;
    wanted_ = false;
    lock.unlock();
    notify_reloading();
    reload();
    sd_notify(0, "READY=1");
    lock.lock();
  }
}

void Reloader::reload() {
  spdlog::info("event=configuration-reloading file={}", log_value(current_.file.string()));
  Prepared next;
  auto loaded = load_config(current_.file);
  if (!loaded) return refuse(next.config, loaded.error());
  next.config = std::move(*loaded);
  auto prepared = prepare(next);
  if (prepared) prepared = log_reload(next);
  if (!prepared) return refuse(next.config, prepared.error());
  adopt(std::move(next));
}

// Leaves nothing behind when a step fails.
Result<void> Reloader::prepare(Prepared& next) const {
  AVSEAL_CHECK(check_restart(current_, next.config));
  AVSEAL_TRY(next.change.clients, http::ClientTable::create(next.config.clients));
  AVSEAL_TRY(next.change.keys, keyring::Keys::load(next.config.keyring.keys, to_unix(shared_.clock())));
  if (shared_.signing) {
    AVSEAL_TRY(next.trust, shared_.signing->verification.trust->reread());
  }
  next.change.authorization = next.config.authorization;
  if (next.config.dac) next.change.issuers = next.config.dac->issuers;
  AVSEAL_TRY(next.workers, workers_.with(next.config.spawn));
  auto keyring = next.config.keyring;
  next.workers->add_sockets(keyring.tokens);
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
  event.details = {{"before", current_.digest}, {"digest", next.config.digest}};
  return asio::co_spawn(control_.context(), log_event(*shared_.ledger, std::move(event)), asio::use_future).get();
}

void Reloader::adopt(Prepared next) {
  set_log_level(next.config.log_level);
  if (next.trust) next.trust();
  certificates_.show(*next.change.keys);
  std::vector<std::future<void>> adopting;
  for (std::size_t i = 0; i < shared_.nodes.size(); ++i) {
    Node& node = *shared_.nodes[i];
    adopting.push_back(
        asio::co_spawn(node.context(), node.adopt(next.change, std::move(next.keyrings[i])), asio::use_future));
  }
  for (auto& adopted : adopting) adopted.get();
  workers_ = std::move(*next.workers);
  current_ = std::move(next.config);
  reloads_.Add({{"outcome", "reloaded"}}).Increment();
  spdlog::info("event=configuration-reloaded file={} digest={}", log_value(current_.file.string()), current_.digest);
}

void Reloader::refuse(const Config& wanted, const Error& error) {
  reloads_.Add({{"outcome", "refused"}}).Increment();
  spdlog::error("event=configuration-refused reason={} detail={}", error.reason, log_value(error.detail));
  boost::json::object details{{"detail", error.detail}};
  if (!wanted.digest.empty()) details["digest"] = wanted.digest;
  asio::co_spawn(
      control_.context(),
      log_leaf(*shared_.ledger, "configuration.refused", std::move(details), ledger::Outcome::refused, error.reason),
      asio::use_future)
      .get();
}

}  // namespace avseal::service
