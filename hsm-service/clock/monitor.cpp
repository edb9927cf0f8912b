#include "clock/monitor.hpp"

#include "clock/chrony.hpp"
#include "clock/kernel.hpp"

namespace avseal::clock {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto look_every = 250ms;

Monitor::Ask ask_of(const Config& config) {
  switch (config.source) {
    case Source::trusted:
      return {};
    case Source::kernel:
      return ask_kernel;
    case Source::chrony:
      return [chronyc = config.chronyc] { return ask_chrony(chronyc); };
  }
  return {};
}

prometheus::Gauge& gauge(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(metrics).Add({});
}

}  // namespace

Monitor::Monitor(const Config& config, Guard& guard, std::function<void(const Guard::Change&)> changed,
                 prometheus::Registry& metrics)
    : Monitor(ask_of(config), config.source == Source::chrony ? 5s : 1s, guard, std::move(changed), metrics) {}

Monitor::Monitor(Ask ask, std::chrono::milliseconds ask_every, Guard& guard,
                 std::function<void(const Guard::Change&)> changed, prometheus::Registry& metrics)
    : ask_(std::move(ask)),
      ask_every_(ask_every),
      guard_(guard),
      changed_(std::move(changed)),
      trusted_(gauge(metrics, "avseal_clock_trusted", "1 while this node's time may be stated and judged, else 0")),
      step_(gauge(metrics, "avseal_clock_step_seconds", "How far the clock was stepped from the trusted time")),
      changes_(prometheus::BuildCounter()
                   .Name("avseal_clock_changes_total")
                   .Help("Times that the clock was stepped, restored, unsynchronised or synchronised, by event")
                   .Register(metrics)) {
  using Kind = Guard::Change::Kind;
  for (const auto kind : {Kind::stepped, Kind::restored, Kind::unsynchronised, Kind::synchronised}) {
    changes_.Add({{"event", std::string(to_string(kind))}});
  }
  look();
  thread_ = std::thread([this] { run(); });
}

Monitor::~Monitor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Monitor::run() {
  auto ask_at = steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    if (ask_ && steady_clock::now() >= ask_at) {
      guard_.heard(ask_());
      ask_at = steady_clock::now() + ask_every_;
    }
    look();
    lock.lock();
    wake_.wait_for(lock, look_every, [this] { return stopping_; });
  }
}

void Monitor::look() {
  for (const auto& change : guard_.poll()) {
    changes_.Add({{"event", std::string(to_string(change.kind))}}).Increment();
    changed_(change);
  }
  trusted_.Set(guard_.check() ? 1 : 0);
  step_.Set(static_cast<double>(guard_.step().count()) / 1000);
}

}  // namespace avseal::clock
