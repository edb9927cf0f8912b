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
using AloneJob = std::function<Result<Bytes>(Context&)>;

// How the time of one job was spent. Repetitions after a lost TPM count where they happened.
struct WorkerTimes {
  std::chrono::microseconds queue{0};  // behind other jobs
  std::chrono::microseconds load{0};   // connecting and loading the key, waiting for free slots
  std::chrono::microseconds tpm{0};    // the job itself
};

struct WorkerOptions {
  std::size_t queue = 64;
  std::chrono::milliseconds wait{30'000};         // queue and TPM together
  std::chrono::milliseconds wait_alone{180'000};  // the same for run_alone: a chip needs seconds to make an RSA key
  std::chrono::milliseconds wait_for_slots{5'000};
  // Both on the worker's thread.
  std::function<void(const TpmInfo&)> on_connect = [](const TpmInfo&) {};
  std::function<void(const WorkerTimes&)> on_times = [](const WorkerTimes&) {};
};

// The one thread that owns the ESYS_CONTEXT. A job that fails because the TPM went away or was reset is run once more
// on a rebuilt context; if that fails too its error is the answer, and the next job starts with a new context. A job
// that finds no free slot is tried again for a while, with everything of ours out of the TPM between the trials.
class Worker {
 public:
  static std::unique_ptr<Worker> start(std::string tcti, Loader loader, WorkerOptions options = {});
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  // runs no further job; a thread that hangs inside the TPM driver is left behind

  // Callable from any thread; waits for the answer. Reasons "tpm-queue-full", "tpm-timeout", those of loader and job.
  Result<Bytes> run(Job job);
  // The same for a job that needs the TPM's slots for itself: the key is taken out before, and loaded by the next run.
  Result<Bytes> run_alone(AloneJob job);

 private:
  struct State;
  struct Queued;
  Worker(std::shared_ptr<State> state, std::thread thread) : state_(std::move(state)), thread_(std::move(thread)) {}
  Result<Bytes> submit(std::unique_ptr<Queued> queued, std::chrono::milliseconds wait);
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace avseal::tpm
