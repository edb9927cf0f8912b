#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "ledger/completion.hpp"
#include "ledger/metrics.hpp"
#include "ledger/refusals.hpp"
#include "ledger/segment_log.hpp"
#include "ledger/untold.hpp"
#include "tokens/clock.hpp"

namespace avseal::ledger {

class Writer;

// One of the bounded places of events that are under way; given back when it dies.
class Place {
 public:
  explicit Place(std::shared_ptr<Writer> writer) noexcept : writer_(std::move(writer)) {}
  Place(Place&&) noexcept = default;
  Place& operator=(Place&&) = delete;
  ~Place();

 private:
  std::shared_ptr<Writer> writer_;
};

using Appended = Result<Position>;  // of the leaf

// The one thread that writes the log: group commit in the order of append(). A second thread fails those who hold a
// place when a call on the disk takes longer than append_limit, since the writer may hang in the kernel.
class Writer : public std::enable_shared_from_this<Writer> {
 public:
  struct Options {
    std::size_t max_pending;
    std::chrono::milliseconds append_limit;
    std::int64_t last_time;  // of the log's last leaf, in Unix milliseconds; 0: there is none
  };
  static std::shared_ptr<Writer> start(std::unique_ptr<SegmentLog> log, Options options, Clock clock,
                                       std::shared_ptr<Metrics> metrics);
  ~Writer();

  [[nodiscard]] Result<Place> reserve();  // "ledger-full", "ledger-busy", "ledger-clock", "ledger-unavailable"
  [[nodiscard]] Place reserve_last();     // without limit
  void append(Place place, LeafDraft draft, Completion<Appended> done);  // done may be empty
  // A leaf of the ledger itself, which needs no place; waits until it is known whether it is on disk.
  Result<void> append_own(LeafDraft draft);
  void count_refusal(std::string_view client, std::string_view reason);
  [[nodiscard]] Result<void> healthy() const;
  [[nodiscard]] bool stopped() const;  // for good, or closed
  [[nodiscard]] std::uint64_t size() const { return size_.load(); }
  // Between pause() and resume() nothing is written; what is appended waits.
  void pause();
  void resume();
  void use_log(std::unique_ptr<SegmentLog> log, LeafDraft first);  // while it is paused: an empty one
  void lose_log(const Error& why);              // while it is paused: until use_log() everything is refused
  void on_growth(std::function<void()> grown);  // called on the writer's thread when leaves are on disk
  void stop_for_good(const Error& why);         // what is on disk stays, nothing is added
  void await_places(std::chrono::milliseconds limit) const;  // until all are given back, so long at most
  void close(std::optional<LeafDraft> last);                 // commits what waits and the last leaf; joins the threads

 private:
  friend class Place;
  struct Entry {
    std::optional<Place> place;  // the writer's own leaves have none
    LeafDraft draft;
    Completion<Appended> done;
  };
  struct Waiter {
    Completion<Appended> done;
    bool has_place;
  };
  enum class State { open, full, stalled, failed, closed };

  Writer(std::unique_ptr<SegmentLog> log, Options options, Clock clock, std::shared_ptr<Metrics> metrics);
  void run();
  void push(Entry entry);
  bool next_entries(std::vector<Entry>& entries);  // false: closed and nothing left
  void gather(std::unique_lock<std::mutex>& lock);
  bool add_summaries(bool all);                       // whether there were any
  std::size_t write_batch(std::span<Entry> entries);  // how many of them it took
  void begin();
  Result<void> commit(std::int64_t now);
  void settle(std::span<Entry> batch, const Result<void>& committed, const Result<void>& space);
  void rest();
  void watch();
  void fail_waiters();
  [[nodiscard]] Error why_not() const;
  [[nodiscard]] std::int64_t now_ms() const;
  [[nodiscard]] Result<void> check_clock() const;

  std::unique_ptr<SegmentLog> log_;  // the writer thread's, unless it is paused
  std::optional<Error> lost_log_;    // likewise: why nothing can be written to it any more
  BatchBuilder builder_;
  std::optional<LeafDraft> first_leaf_;  // likewise: of a log that begins, not written yet
  Untold untold_;                        // likewise
  const Options options_;
  const Clock clock_;
  const std::shared_ptr<Metrics> metrics_;

  std::atomic<State> state_{State::open};
  std::atomic<std::size_t> places_{0};
  std::atomic<std::uint64_t> size_{0};
  std::atomic<std::int64_t> last_time_;  // of the last leaf

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // of the writer
  std::condition_variable watch_wake_;
  std::condition_variable idle_;  // the writer waits
  std::vector<Entry> queue_;
  std::vector<Waiter> in_flight_;  // of the entries that the writer took and has not settled, in their order
  std::optional<std::chrono::steady_clock::time_point> busy_since_;  // with the disk
  RefusalCounts refusals_;
  std::optional<Error> why_;  // of full and failed
  std::optional<LeafDraft> last_leaf_;
  std::function<void()> grown_;
  bool stopping_ = false;
  bool paused_ = false;
  bool waiting_ = false;  // the writer does, for something to do
  bool watching_ = false;
  bool watch_stopping_ = false;

  std::mutex close_mutex_;
  std::thread thread_;
  std::thread watch_thread_;
};

}  // namespace avseal::ledger
