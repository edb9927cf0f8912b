// The writer's two threads.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "ledger/errors.hpp"
#include "ledger/writer.hpp"

namespace avseal::ledger {

namespace {

using SteadyClock = std::chrono::steady_clock;

// How often the writer looks whether a minute of refusals is over, or space was freed.
constexpr std::chrono::milliseconds poll_interval{250};

// From so many events under way on, a batch is gathered, for so long at most. Fewer do not wait for each other.
constexpr std::size_t crowd = 64;
constexpr std::chrono::milliseconds gathering_time{5};

}  // namespace

void Writer::run() {
  std::vector<Entry> entries;
  while (next_entries(entries)) {
    std::span<Entry> rest(entries);
    do {
      rest = rest.subspan(write_batch(rest));
    } while (!rest.empty() || (state_.load() == State::open && !untold_.empty()));
    entries.clear();
  }
  const std::lock_guard lock(mutex_);
  log_.reset();
  waiting_ = true;  // for ever
  idle_.notify_all();
}

bool Writer::next_entries(std::vector<Entry>& entries) {
  std::unique_lock lock(mutex_);
  waiting_ = true;
  idle_.notify_all();
  const auto ready = [this] { return !paused_ && (stopping_ || !queue_.empty()); };
  if (refusals_.empty() && state_.load() != State::full) {
    wake_.wait(lock, [&] { return ready() || (!paused_ && (!refusals_.empty() || first_leaf_)); });
  } else {
    wake_.wait_for(lock, poll_interval, ready);
    wake_.wait(lock, [this] { return !paused_; });
  }
  gather(lock);
  waiting_ = false;
  entries.swap(queue_);
  const bool summaries = add_summaries(stopping_);
  const bool over = stopping_ && entries.empty() && !summaries && !last_leaf_;
  if (stopping_ && last_leaf_) entries.push_back(Entry{std::nullopt, *std::exchange(last_leaf_, std::nullopt), {}});
  for (auto& entry : entries) in_flight_.push_back({std::move(entry.done), entry.place.has_value()});
  return !over;
}

// A batch costs about the same whatever its size: in a crowd it waits for those who are under way.
void Writer::gather(std::unique_lock<std::mutex>& lock) {
  if (places_.load() < crowd) return;
  wake_.wait_for(lock, gathering_time, [this] { return stopping_ || queue_.size() >= places_.load(); });
  wake_.wait(lock, [this] { return !paused_; });
}

bool Writer::add_summaries(bool all) {
  if (state_.load() != State::open && !all) return false;
  const auto summaries = refusals_.take(clock_(), all);
  for (const auto& summary : summaries) {
    untold_.add(EventText(summary.event, {}, {}).finish({}, 0, Outcome::refused, summary.reason));
  }
  return !summaries.empty();
}

// Also for no entries: then it only looks whether a full disk has room again. When it has none, the entries that follow
// are not tried: nothing may come before what is to be told of these.
std::size_t Writer::write_batch(std::span<Entry> entries) {
  const auto now = std::max(now_ms(), last_time_.load());
  builder_.start(log_->next_index());
  if (first_leaf_) builder_.add(*first_leaf_, now);
  const bool all_told = untold_.tell(builder_, now);
  std::size_t count = 0;
  while (all_told && count < entries.size() && builder_.has_room(max_leaf_size)) {
    builder_.add(entries[count++].draft, now);
  }
  begin();
  const auto committed = commit(now);
  if (committed) {
    first_leaf_.reset();
    untold_.told();
  } else {
    count = entries.size();
    for (auto& entry : entries) untold_.add(std::move(entry.draft.uses));
  }
  settle(entries.first(count), committed, log_->check_space());
  if (committed) log_->seal();
  rest();
  return count;
}

void Writer::begin() {
  bool wake_watch = false;
  {
    const std::lock_guard lock(mutex_);
    busy_since_ = SteadyClock::now();
    wake_watch = !std::exchange(watching_, true);
  }
  if (wake_watch) watch_wake_.notify_one();
}

Result<void> Writer::commit(std::int64_t now) {
  if (state_.load() == State::failed) return why_not();
  if (lost_log_) return *lost_log_;
  const auto leaves = builder_.leaves();
  if (leaves == 0) return {};
  const auto started = SteadyClock::now();
  auto appended = log_->append(builder_.finish(), leaves);
  const std::chrono::duration<double> elapsed = SteadyClock::now() - started;
  metrics_->sync_seconds.Observe(elapsed.count());
  if (appended) last_time_ = now;
  return appended;
}

// Tells the waiters, and everybody who comes later, how the batch ended. Places become free only once a full log is
// known to be full, so it never loses more than max_pending events.
void Writer::settle(std::span<Entry> batch, const Result<void>& committed, const Result<void>& space) {
  std::vector<Waiter> waiters;
  std::function<void()> grown;
  {
    const std::lock_guard lock(mutex_);
    const auto behind = in_flight_.begin() + static_cast<std::ptrdiff_t>(batch.size());
    waiters.assign(std::move_iterator(in_flight_.begin()), std::move_iterator(behind));
    in_flight_.erase(in_flight_.begin(), behind);
    busy_since_ = SteadyClock::now();  // the seal is still to come
    grown = grown_;
    const auto& trouble = committed ? space : committed;
    if (state_.load() != State::failed) {
      why_ = trouble ? std::nullopt : std::optional(trouble.error());
      const bool passes = lost_log_ || (why_ && why_->reason == "ledger-full");
      state_ = trouble ? State::open : passes ? State::full : State::failed;
      if (state_.load() == State::failed) spdlog::critical("the ledger stops for good: {}", why_->detail);
    }
  }
  for (auto& entry : batch) entry.place.reset();
  const auto size = log_->next_index();
  const bool grew = committed && size_.exchange(size) != size;
  if (grew) metrics_->entries.Set(static_cast<double>(size));
  const auto first_index = size - waiters.size();
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    if (auto& done = waiters[i].done)
      done(committed ? Appended(Position{log_->origin(), first_index + i}) : Appended(committed.error()));
  }
  if (grew && grown) grown();
}

// The disk has answered.
void Writer::rest() {
  const std::lock_guard lock(mutex_);
  busy_since_.reset();
  if (state_.load() == State::stalled) state_ = why_ ? State::full : State::open;
}

void Writer::watch() {
  std::unique_lock lock(mutex_);
  while (!watch_stopping_) {
    if (!busy_since_) {
      watching_ = false;
      watch_wake_.wait(lock, [this] { return watch_stopping_ || watching_; });
    }
    watch_wake_.wait_for(lock, options_.append_limit / 4, [this] { return watch_stopping_; });
    if (!busy_since_ || SteadyClock::now() - *busy_since_ <= options_.append_limit) continue;
    lock.unlock();
    fail_waiters();
    lock.lock();
  }
}

// Their leaves stay in the log, or come into it when the disk answers again: they claim more than what was released,
// never less. A leaf of the log itself is waited for whatever happens: it would be told again.
void Writer::fail_waiters() {
  std::vector<Completion<Appended>> late;
  {
    const std::lock_guard lock(mutex_);
    if (!busy_since_) return;
    if (state_.load() != State::failed) state_ = State::stalled;
    for (auto& waiter : in_flight_) {
      if (waiter.has_place) late.push_back(std::move(waiter.done));
    }
    for (auto& entry : queue_) {
      if (entry.place) late.push_back(std::move(entry.done));
    }
  }
  for (auto& waiter : late) {
    if (waiter) waiter(errors::stalled(options_.append_limit));
  }
}

}  // namespace avseal::ledger
