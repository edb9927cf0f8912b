#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include <prometheus/counter.h>
#include <prometheus/family.h>

#include "service/certificate_metrics.hpp"
#include "service/control.hpp"
#include "service/node.hpp"
#include "service/spawned_workers.hpp"

namespace avseal::service {

// On SIGHUP, takes the changed configuration file into the running service, wholly or not at all: everything that may
// fail is done first, on every io thread, and only then do all of them change. Requests and connections go on. On a
// thread of its own, for starting workers and reading files may take its time.
class Reloader {
 public:
  Reloader(Shared& shared, Control& control, SpawnedWorkers workers);
  ~Reloader();  // ends the workers
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  void start();   // once the nodes serve
  void finish();  // waits for a reload at work; before the nodes stop

 private:
  // What was read, started, connected and found good.
  struct Prepared;

  void request();
  void run();
  void reload();
  Result<void> prepare(Prepared& next) const;
  Result<void> log_reload(const Prepared& next) const;
  void adopt(Prepared next);
  void refuse(const Config& wanted, const Error& error);

  Shared& shared_;
  Control& control_;
  Config current_;  // what the service runs with
  SpawnedWorkers workers_;
  prometheus::Family<prometheus::Counter>& reloads_;
  CertificateMetrics certificates_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace avseal::service
