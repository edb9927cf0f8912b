#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include <prometheus/counter.h>
#include <prometheus/family.h>

#include "keyring/workers.hpp"
#include "ledger/completion.hpp"
#include "service/certificate_metrics.hpp"
#include "service/control.hpp"
#include "service/key_states.hpp"
#include "service/shared.hpp"
#include "store/interfaces.hpp"

namespace avseal::service {

// Changes what the running service works with, wholly or not at all: on SIGHUP to the changed configuration file, and
// to other states of keys. Everything that may fail is done first, on every io thread, and only then do all of them
// change. Requests and connections go on. On a thread of its own, for starting workers and reading files may take its
// time.
class Reloader {
 public:
  Reloader(Shared& shared, Control& control, std::unique_ptr<keyring::Workers> workers);
  ~Reloader();  // ends the workers
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  void start(store::KeyStates& states, store::DocumentVersions& versions);  // once the nodes serve
  void finish();  // waits for what is at work; before the nodes stop

  [[nodiscard]] std::shared_ptr<const Config> current() const;  // what the service runs with

  // Runs the job between reloads; done is called with its result, or with "stopping" (unavailable).
  using Job = std::function<Result<void>()>;
  void post(Job job, ledger::Completion<Result<void>> done);
  // Of a job: takes keys in these states. decide is called when every io thread could, and may still refuse.
  Result<void> take_keys(const std::vector<KeyStateRow>& rows, const Job& decide);

 private:
  // What was read, started, connected and found good.
  struct Prepared;

  void request();
  void run();
  void reload();
  Result<void> prepare_reload(Prepared& next);
  Result<void> prepare_nodes(Prepared& next, const std::vector<KeyStateRow>& rows) const;
  Result<void> log_reload(const Prepared& next) const;
  // In force on return; gives what waits until the earlier connections are closed.
  std::vector<std::future<void>> adopt(Prepared next);
  void refuse(const Config& wanted, const Error& error);

  Shared& shared_;
  Control& control_;
  store::KeyStates* states_ = nullptr;
  store::DocumentVersions* versions_ = nullptr;
  std::shared_ptr<const Config> current_;
  std::unique_ptr<keyring::Workers> workers_;
  prometheus::Family<prometheus::Counter>& reloads_;
  CertificateMetrics certificates_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false;
  std::vector<std::pair<Job, ledger::Completion<Result<void>>>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace avseal::service
