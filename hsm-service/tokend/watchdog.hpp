#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace avseal::tokend {

// Watches one call per thread. PKCS#11 cannot cancel a call, so the only cure for one that hangs is the end of the
// process.
class Watchdog {
 public:
  // on_expired runs on the watchdog's thread when a call outlives `limit`; it is expected not to return.
  Watchdog(std::chrono::milliseconds limit, std::size_t threads, std::function<void(std::size_t thread)> on_expired);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  // A call of thread `thread` lasts as long as this object. Of a longer piece of work, each step between next() and
  // next() or pause() has the whole limit.
  class Call {
   public:
    Call(Watchdog& watchdog, std::size_t thread);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

    void next();
    void pause();

   private:
    std::atomic<std::int64_t>& started_;
  };

 private:
  void run();

  const std::chrono::milliseconds limit_;
  const std::function<void(std::size_t)> on_expired_;
  std::vector<std::atomic<std::int64_t>> started_;  // steady clock nanoseconds, 0: no call
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace avseal::tokend
