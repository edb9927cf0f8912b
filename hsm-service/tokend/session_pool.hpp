#pragma once

#include <deque>
#include <random>
#include <thread>

#include "tokend/session_thread.hpp"

namespace avseal::tokend {

struct Done {
  std::uint64_t connection = 0;
  Reply reply;
};

// The session threads, which take from one queue. A token may give fewer sessions than are wanted: then the other
// threads are spare and ask again now and then.
class SessionPool {
 public:
  // wake is called from a session thread when take() has something new; leave does not return.
  SessionPool(Hsm& hsm, Watchdog& watchdog, std::function<void()> wake, std::function<void(const Error&)> leave);
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;
  ~SessionPool();  // drops what is queued, waits for the calls that run

  // Opens as many sessions as are wanted and there are, at least one, and starts the threads.
  Result<void> start();

  void submit(Job job);
  void take(std::vector<Done>& into);                                        // appends all that is done
  [[nodiscard]] unsigned sessions() const { return open_sessions_.load(); }  // open now
  // Signatures made with a key so far; those for which take() had the reply are among them.
  [[nodiscard]] std::uint64_t sequence(std::size_t key) const { return sequences_[key].load(); }

 private:
  using Clock = std::chrono::steady_clock;

  void run(SessionThread& thread);
  bool wait_for_job(std::optional<Job>& job, bool& more, Clock::time_point until,
                    std::vector<Done>& done);                          // false: stop
  bool wait_as_spare(SessionThread& thread, Clock::time_point until);  // false: stop
  Result<void> claim(const Job& job) const;
  Reply execute(SessionThread& thread, const Job& job);
  void publish(std::vector<Done>& done);

  Hsm& hsm_;
  Watchdog& watchdog_;
  const std::function<void()> wake_;
  Recovery recovery_;
  std::vector<std::atomic<std::uint64_t>> sequences_;  // signatures per key
  std::atomic<unsigned> open_sessions_{0};

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::condition_variable stopped_;  // for spare threads, which must not eat the queue's notifications
  std::deque<Job> queue_;
  bool stop_ = false;

  std::mutex done_mutex_;
  std::vector<Done> done_;
  std::deque<SessionThread> session_threads_;
  std::vector<std::thread> threads_;
};

}  // namespace avseal::tokend
