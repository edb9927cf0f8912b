#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "ledger/completion.hpp"
#include "store/sqlite.hpp"
#include "tokens/clock.hpp"

namespace avseal::store {

// Runs jobs on the store's own threads: writes on one thread, grouped into one transaction with a savepoint each; reads
// on two more.
class Database {
 public:
  // Called on the writer thread in a transaction of its own, about once a minute.
  using Maintenance = std::function<Result<void>(Connection&)>;

  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file, Maintenance maintenance,
                                                prometheus::Registry& metrics);
  ~Database();

  // job(Connection&) gives a Result; an error undoes what the job did, and only that. Resumes when the transaction is
  // on disk.
  template <class Job, class R = std::invoke_result_t<Job&, Connection&>>
  boost::asio::awaitable<R> write(Job job) {
    return submit<R>(writes_, std::move(job));
  }
  template <class Job, class R = std::invoke_result_t<Job&, Connection&>>
  boost::asio::awaitable<R> read(Job job) {
    return submit<R>(reads_, std::move(job));
  }

  // The same for a thread that may wait.
  template <class Job, class R = std::invoke_result_t<Job&, Connection&>>
  R write_and_wait(Job job) {
    return wait<R>(writes_, std::move(job));
  }
  template <class Job, class R = std::invoke_result_t<Job&, Connection&>>
  R read_and_wait(Job job) {
    return wait<R>(reads_, std::move(job));
  }

  [[nodiscard]] Result<void> healthy() const;
  void close();  // ends what waits, then joins the threads

 private:
  class Task {
   public:
    virtual ~Task() = default;
    virtual bool run(Connection& connection) = 0;            // false: its result is an error
    virtual void finish(const Result<void>& committed) = 0;  // resumes who waits
  };
  template <class R, class Job>
  class TaskOf;

  class Queue {
   public:
    bool push(std::unique_ptr<Task>& task);  // false: full or closed; the task is left
    std::vector<std::unique_ptr<Task>> take(std::size_t limit, std::chrono::milliseconds patience);
    void close();
    [[nodiscard]] bool drained() const;

   private:
    mutable std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<std::unique_ptr<Task>> tasks_;
    bool closed_ = false;
  };

  Database(Connection writer, Maintenance maintenance, prometheus::Registry& metrics);
  template <class R, class Job>
  boost::asio::awaitable<R> submit(Queue& queue, Job job);
  template <class R, class Job>
  R wait(Queue& queue, Job job);
  template <class R, class Job>
  static void enqueue(Queue& queue, Job job, ledger::Completion<R> done);
  void write_loop();
  void read_loop(Connection& connection);
  Result<void> commit(std::vector<std::unique_ptr<Task>>& tasks);
  Result<void> run_in_savepoint(Task& task);
  void maintain();
  void note(const Result<void>& committed);
  static Error refused();

  Connection writer_;
  std::vector<Connection> readers_;
  const Maintenance maintenance_;
  prometheus::Histogram& commit_seconds_;
  Queue writes_;
  Queue reads_;
  std::chrono::steady_clock::time_point maintained_;
  mutable std::mutex health_mutex_;
  Result<void> health_;
  std::vector<std::thread> threads_;
};

template <class R, class Job>
class Database::TaskOf final : public Task {
 public:
  TaskOf(Job job, ledger::Completion<R> done) : job_(std::move(job)), done_(std::move(done)) {}
  bool run(Connection& connection) override {
    result_.emplace(job_(connection));
    return result_->has_value();
  }
  void finish(const Result<void>& committed) override {
    done_(committed && result_ ? std::move(*result_) : R(committed ? refused() : committed.error()));
  }

 private:
  Job job_;
  ledger::Completion<R> done_;
  std::optional<R> result_;
};

template <class R, class Job>
void Database::enqueue(Queue& queue, Job job, ledger::Completion<R> done) {
  std::unique_ptr<Task> task = std::make_unique<TaskOf<R, Job>>(std::move(job), std::move(done));
  if (!queue.push(task)) task->finish(refused());
}

template <class R, class Job>
boost::asio::awaitable<R> Database::submit(Queue& queue, Job job) {
  return ledger::suspend<R>([&queue, j = std::move(job)](ledger::Completion<R> done) mutable {
    enqueue<R>(queue, std::move(j), std::move(done));
  });
}

template <class R, class Job>
R Database::wait(Queue& queue, Job job) {
  std::promise<R> promise;
  auto answer = promise.get_future();
  enqueue<R>(queue, std::move(job), ledger::Completion<R>::to(std::move(promise)));
  return answer.get();
}

}  // namespace avseal::store
