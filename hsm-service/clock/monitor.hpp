#pragma once

#include <condition_variable>
#include <filesystem>
#include <thread>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "clock/guard.hpp"

namespace avseal::clock {

struct Config {
  Source source = Source::kernel;
  std::filesystem::path chronyc = "/usr/bin/chronyc";
};

// The thread that watches the clocks (each 250 ms) and asks their source (kernel: each second, chrony: each 5 s).
class Monitor {
 public:
  using Ask = std::function<Result<void>()>;  // may block for a few seconds

  // `changed` runs on the monitor's thread and must not wait.
  Monitor(const Config& config, Guard& guard, std::function<void(const Guard::Change&)> changed,
          prometheus::Registry& metrics);
  Monitor(Ask ask, std::chrono::milliseconds ask_every, Guard& guard, std::function<void(const Guard::Change&)> changed,
          prometheus::Registry& metrics);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  void run();
  void look();

  const Ask ask_;
  const std::chrono::milliseconds ask_every_;
  Guard& guard_;
  const std::function<void(const Guard::Change&)> changed_;
  prometheus::Gauge& trusted_;
  prometheus::Gauge& step_;
  prometheus::Family<prometheus::Counter>& changes_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace avseal::clock
