#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "tpm/keys.hpp"

namespace avseal::tpm {

// What is in the TPM on our behalf, in the order it must go: key, session, parent.
struct LoadedKey {
  Handle parent;
  Session session;
  Handle key;
};

// Loads the key into a fresh context; called on the worker's thread, again after the TPM was lost.
using Loader = std::function<Result<LoadedKey>(Context&)>;
using Job = std::function<Result<Bytes>(Context&, LoadedKey&)>;

struct WorkerLimits {
  std::size_t queue = 64;
  std::chrono::milliseconds wait{30'000};  // queue and TPM together
};

// The one thread that owns the ESYS_CONTEXT. A job that fails because the TPM went away or was reset is run once more
// on a rebuilt context; if that fails too its error is the answer, and the next job starts with a new context.
class Worker {
 public:
  static std::unique_ptr<Worker> start(std::string tcti, Loader loader, WorkerLimits limits = {});
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  // runs no further job; a thread that hangs inside the TPM driver is left behind

  // Callable from any thread; waits for the answer. Reasons "tpm-queue-full", "tpm-timeout", those of loader and job.
  Result<Bytes> run(Job job);

 private:
  struct State;
  Worker(std::shared_ptr<State> state, std::thread thread) : state_(std::move(state)), thread_(std::move(thread)) {}
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace avseal::tpm
