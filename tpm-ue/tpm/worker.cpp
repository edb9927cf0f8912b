#include "tpm/worker.hpp"

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace avseal::tpm {

namespace {

struct Queued {
  Job job;
  std::chrono::steady_clock::time_point deadline;
  std::promise<Result<Bytes>> answer;
};

// Context and key, used by the worker's thread only.
class Connection {
 public:
  Connection(std::string tcti, Loader loader) : tcti_(std::move(tcti)), loader_(std::move(loader)) {}

  Result<Bytes> run(const Job& job) {
    Result<Bytes> answer = attempt(job);
    if (!answer && needs_new_context(answer.error())) answer = attempt(job);
    return answer;
  }

  void close() {
    if (key_ && context_ && !context_->usable()) remember_leftovers();
    key_.reset();
    context_.reset();
  }

 private:
  Result<Bytes> attempt(const Job& job) {
    Result<Bytes> answer = open_and_run(job);
    if (!answer && needs_new_context(answer.error())) close();
    return answer;
  }

  Result<Bytes> open_and_run(const Job& job) {
    if (!key_) {
      close();
      AVSEAL_TRY(context_, Context::open(tcti_));
      for (const Leftover& leftover : std::exchange(leftovers_, {})) flush_leftover(*context_, leftover);
      AVSEAL_TRY(LoadedKey key, loader_(*context_));
      key_.emplace(std::move(key));
    }
    return job(*context_, *key_);
  }

  void remember_leftovers() {
    leftovers_.push_back({key_->session.handle().tpm_handle(), {}});
    for (const Handle* object : {&key_->key, &key_->parent}) {
      const auto name = object->name();
      if (name && !object->is_persistent()) leftovers_.push_back({object->tpm_handle(), *name});
    }
  }

  std::string tcti_;
  Loader loader_;
  std::vector<Leftover> leftovers_;
  std::unique_ptr<Context> context_;
  std::optional<LoadedKey> key_;
};

}  // namespace

struct Worker::State {
  std::string tcti;
  Loader loader;
  WorkerLimits limits;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<Queued>> queue;
  bool stop = false;
  bool ended = false;

  std::unique_ptr<Queued> next() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return stop || !queue.empty(); });
    if (stop) return nullptr;
    auto queued = std::move(queue.front());
    queue.pop_front();
    return queued;
  }

  void serve() {
    Connection connection(tcti, loader);
    while (const auto queued = next()) {
      const bool late = std::chrono::steady_clock::now() >= queued->deadline;
      queued->answer.set_value(late ? Result<Bytes>(errors::timed_out(limits.wait)) : connection.run(queued->job));
    }
    connection.close();
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
  }
};

std::unique_ptr<Worker> Worker::start(std::string tcti, Loader loader, WorkerLimits limits) {
  auto state = std::make_shared<State>();
  state->tcti = std::move(tcti);
  state->loader = std::move(loader);
  state->limits = limits;
  std::thread thread([state] { state->serve(); });
  return std::unique_ptr<Worker>(new Worker(std::move(state), std::move(thread)));
}

Worker::~Worker() {
  bool ended = false;
  {
    std::unique_lock lock(state_->mutex);
    state_->stop = true;
    state_->changed.notify_all();
    ended = state_->changed.wait_for(lock, std::chrono::seconds(5), [this] { return state_->ended; });
  }
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

Result<Bytes> Worker::run(Job job) {
  auto queued = std::make_unique<Queued>();
  queued->job = std::move(job);
  queued->deadline = std::chrono::steady_clock::now() + state_->limits.wait;
  const auto deadline = queued->deadline;
  std::future<Result<Bytes>> answer = queued->answer.get_future();
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->queue.size() >= state_->limits.queue) return errors::queue_full();
    state_->queue.push_back(std::move(queued));
  }
  state_->changed.notify_all();
  if (answer.wait_until(deadline) != std::future_status::ready) return errors::timed_out(state_->limits.wait);
  return answer.get();
}

}  // namespace avseal::tpm
