#pragma once

#include <deque>
#include <thread>

#include "tokend/hsm.hpp"
#include "tokend/watchdog.hpp"

namespace avseal::tokend {

// A request whose key is known and whose input was checked.
struct Job {
  std::uint64_t connection = 0;
  std::size_t key = 0;  // index in Hsm::keys()
  Request request;
  std::chrono::steady_clock::time_point submitted;
  NumberToClaim crl_number;
};

struct Done {
  std::uint64_t connection = 0;
  Reply reply;
};

// The session threads: each has an HsmSession and takes from one queue. A session that was lost is replaced and the
// request tried once more on the new one; if there is no new one, `lost` is called, which ends the process so that its
// supervisor replaces it.
class SessionPool {
 public:
  // wake is called from a session thread when take() has something new.
  SessionPool(const Hsm& hsm, Watchdog& watchdog, std::function<void()> wake, std::function<void(const Error&)> lost);
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;
  ~SessionPool();  // drops what is queued, waits for the calls that run

  // Opens `threads` sessions, probes every key once, starts the threads.
  Result<void> start(unsigned threads);

  void submit(Job job);
  void take(std::vector<Done>& into);  // appends all that is done

 private:
  void run(std::size_t thread, HsmSession session);
  Result<void> claim(const Job& job) const;
  Reply execute(HsmSession& session, std::size_t thread, const Job& job);
  Result<Bytes> call(HsmSession& session, const Job& job);
  void publish(std::vector<Done>& done);

  const Hsm& hsm_;
  Watchdog& watchdog_;
  const std::function<void()> wake_;
  const std::function<void(const Error&)> lost_;
  std::vector<std::atomic<std::uint64_t>> sequences_;  // signatures per key
  std::atomic<std::uint32_t> recoveries_{0};

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Job> queue_;
  bool stop_ = false;

  std::mutex done_mutex_;
  std::vector<Done> done_;
  std::vector<std::thread> threads_;
};

}  // namespace avseal::tokend
