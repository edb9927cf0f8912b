#include "tpm/worker.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tokens/digest.hpp"

namespace avseal::tpm {

namespace {

using Time = std::chrono::steady_clock::time_point;
constexpr auto now = std::chrono::steady_clock::now;

// Adds the time of its scope to `sum`.
class Stopwatch {
 public:
  explicit Stopwatch(std::chrono::microseconds& sum) : sum_(sum) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { sum_ += std::chrono::duration_cast<std::chrono::microseconds>(now() - start_); }

 private:
  std::chrono::microseconds& sum_;
  Time start_ = now();
};

// Exactly one of the two.
struct Work {
  Job with_key;
  AloneJob alone;
};

// Context and key, used by the worker's thread only.
class Connection {
 public:
  Connection(std::string tcti, Loader loader, std::function<void(const TpmInfo&)> on_connect)
      : tcti_(std::move(tcti)), loader_(std::move(loader)), on_connect_(std::move(on_connect)) {}

  Result<Bytes> run(const Work& work, Time slots_until, WorkerTimes& times) {
    Result<Bytes> answer = attempt(work, times);
    if (!answer && needs_new_context(answer.error())) answer = attempt(work, times);
    auto pause = std::chrono::milliseconds(10);
    while (!answer && lacks_slots(answer.error()) && now() + pause < slots_until) {
      key_.reset();  // what we hold may be what another one waits for
      rest(pause, times);
      pause = std::min(2 * pause, std::chrono::milliseconds(320));
      answer = attempt(work, times);
    }
    return answer;
  }

  void end() {
    key_.reset();
    if (context_) context_->shut_down();
    context_.reset();
  }

 private:
  Result<Bytes> attempt(const Work& work, WorkerTimes& times) {
    Result<Bytes> answer = work.alone ? do_alone(work.alone, times) : do_with_key(work.with_key, times);
    if (!answer && needs_new_context(answer.error())) close();
    return answer;
  }

  Result<Bytes> do_with_key(const Job& job, WorkerTimes& times) {
    AVSEAL_CHECK(load(times));
    const Stopwatch watch(times.tpm);
    return job(*context_, *key_);
  }

  Result<Bytes> do_alone(const AloneJob& job, WorkerTimes& times) {
    key_.reset();
    AVSEAL_CHECK(connect(times));
    const Stopwatch watch(times.tpm);
    return job(*context_);
  }

  Result<void> load(WorkerTimes& times) {
    if (key_) return {};
    AVSEAL_CHECK(connect(times));
    const Stopwatch watch(times.load);
    AVSEAL_TRY(LoadedKey key, loader_(*context_));
    key_.emplace(std::move(key));
    return {};
  }

  Result<void> connect(WorkerTimes& times) {
    if (context_ && context_->usable()) return {};
    const Stopwatch watch(times.load);
    close();
    AVSEAL_TRY(context_, Context::open(tcti_));
    on_connect_(context_->info());
    for (const Leftover& leftover : std::exchange(leftovers_, {})) flush_leftover(*context_, leftover);
    return {};
  }

  // With jitter, so that several programs at one TPM do not meet again.
  static void rest(std::chrono::milliseconds pause, WorkerTimes& times) {
    const Stopwatch watch(times.load);
    std::this_thread::sleep_for(pause / 2 + pause * tokens::random_bytes(1).front() / 256);
  }

  void close() {
    key_.reset();
    if (!context_) return;
    for (Leftover& leftover : context_->take_leftovers()) leftovers_.push_back(std::move(leftover));
    context_.reset();
  }

  std::string tcti_;
  Loader loader_;
  std::function<void(const TpmInfo&)> on_connect_;
  std::vector<Leftover> leftovers_;
  std::unique_ptr<Context> context_;
  std::optional<LoadedKey> key_;
};

}  // namespace

struct Worker::Queued {
  Work work;
  Time since = now();
  Time deadline;
  std::promise<Result<Bytes>> answer;
};

struct Worker::State {
  std::string tcti;
  Loader loader;
  WorkerOptions options;
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

  Result<Bytes> answer(Connection& connection, const Queued& queued) const {
    const Time begin = now();
    WorkerTimes times;
    times.queue = std::chrono::duration_cast<std::chrono::microseconds>(begin - queued.since);
    if (begin >= queued.deadline) return errors::timed_out(options.wait);
    auto result = connection.run(queued.work, std::min(begin + options.wait_for_slots, queued.deadline), times);
    options.on_times(times);
    return result;
  }

  void serve() {
    Connection connection(tcti, loader, options.on_connect);
    while (const auto queued = next()) queued->answer.set_value(answer(connection, *queued));
    connection.end();
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
  }
};

std::unique_ptr<Worker> Worker::start(std::string tcti, Loader loader, WorkerOptions options) {
  auto state = std::make_shared<State>();
  state->tcti = std::move(tcti);
  state->loader = std::move(loader);
  state->options = std::move(options);
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
  queued->work.with_key = std::move(job);
  return submit(std::move(queued), state_->options.wait);
}

Result<Bytes> Worker::run_alone(AloneJob job) {
  auto queued = std::make_unique<Queued>();
  queued->work.alone = std::move(job);
  return submit(std::move(queued), state_->options.wait_alone);
}

Result<Bytes> Worker::submit(std::unique_ptr<Queued> queued, std::chrono::milliseconds wait) {
  queued->deadline = queued->since + wait;
  const auto deadline = queued->deadline;
  std::future<Result<Bytes>> answer = queued->answer.get_future();
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->queue.size() >= state_->options.queue) return errors::queue_full();
    state_->queue.push_back(std::move(queued));
  }
  state_->changed.notify_all();
  if (answer.wait_until(deadline) != std::future_status::ready) return errors::timed_out(wait);
  return answer.get();
}

}  // namespace avseal::tpm
