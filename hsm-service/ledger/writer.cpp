#include "ledger/writer.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "ledger/errors.hpp"

namespace avseal::ledger {

namespace {

using SteadyClock = std::chrono::steady_clock;

// How often the writer looks whether a minute of refusals is over, or space was freed.
constexpr std::chrono::milliseconds poll_interval{250};

// From so many events under way on, a batch is gathered, for so long at most. Fewer do not wait for each other.
constexpr std::size_t crowd = 64;
constexpr std::chrono::milliseconds gathering_time{5};

// A clock that is behind the last leaf by no more is taken for one that was slewed.
constexpr std::chrono::milliseconds clock_tolerance{2000};

std::int64_t unix_ms(std::chrono::system_clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

Error closed() {
  return errors::stopped("the log is closed: the service is stopping");
}

Error stalled(std::chrono::milliseconds limit) {
  return errors::stopped(fmt::format("a write to the log takes longer than {} ms; check the disk", limit.count()));
}

}  // namespace

Place::~Place() {
  if (!writer_) return;
  writer_->places_.fetch_sub(1);
  writer_->metrics_->pending.Decrement();
}

Writer::Writer(std::unique_ptr<SegmentLog> log, Options options, Clock clock, std::shared_ptr<Metrics> metrics)
    : log_(std::move(log)),
      options_(options),
      clock_(std::move(clock)),
      metrics_(std::move(metrics)),
      last_time_(options.last_time) {
  size_ = log_->next_index();
  metrics_->entries.Set(static_cast<double>(size_));
}

std::shared_ptr<Writer> Writer::start(std::unique_ptr<SegmentLog> log, Options options, Clock clock,
                                      std::shared_ptr<Metrics> metrics) {
  std::shared_ptr<Writer> writer(new Writer(std::move(log), options, std::move(clock), std::move(metrics)));
  writer->thread_ = std::thread([self = writer.get()] { self->run(); });
  writer->watch_thread_ = std::thread([self = writer.get()] { self->watch(); });
  return writer;
}

Writer::~Writer() {
  if (thread_.joinable()) close(std::nullopt);
}

Result<Place> Writer::reserve() {
  AVSEAL_CHECK(healthy());
  if (places_.fetch_add(1) >= options_.max_pending) {
    places_.fetch_sub(1);
    return errors::busy(options_.max_pending);
  }
  metrics_->pending.Increment();
  return Place(shared_from_this());
}

void Writer::append(Place place, LeafDraft draft, Completion<Appended> done) {
  push(Entry{std::move(place), std::move(draft), std::move(done)});
}

Result<void> Writer::append_own(LeafDraft draft) {
  std::promise<Appended> appended;
  auto waiter = appended.get_future();
  push(Entry{std::nullopt, std::move(draft), Completion<Appended>::to(std::move(appended))});
  const auto index = waiter.get();
  if (!index) return index.error();
  return {};
}

void Writer::push(Entry entry) {
  std::unique_lock lock(mutex_);
  const auto state = state_.load();
  if (stopping_ || state == State::failed || state == State::closed) {
    lock.unlock();
    if (entry.done) entry.done(why_not());
    return;
  }
  queue_.push_back(std::move(entry));
  const bool wake = queue_.size() == 1 || queue_.size() >= places_.load();
  lock.unlock();
  if (wake) wake_.notify_one();
}

void Writer::count_refusal(std::string_view client, std::string_view reason) {
  {
    const std::lock_guard lock(mutex_);
    if (state_.load() == State::failed || stopping_) return;
    refusals_.add(client, reason, clock_());
  }
  metrics_->aggregated.Increment();
  wake_.notify_one();
}

Result<void> Writer::healthy() const {
  switch (state_.load()) {
    case State::open:
      return check_clock();
    case State::stalled:
      return stalled(options_.append_limit);
    case State::full:
    case State::failed:
    case State::closed:
      break;
  }
  return why_not();
}

Error Writer::why_not() const {
  const std::lock_guard lock(mutex_);
  return why_ ? *why_ : closed();
}

Result<void> Writer::check_clock() const {
  const std::chrono::milliseconds behind(last_time_.load() - unix_ms(clock_()));
  if (behind <= clock_tolerance) return {};
  return errors::clock_behind(behind);
}

void Writer::pause() {
  std::unique_lock lock(mutex_);
  paused_ = true;
  idle_.wait(lock, [this] { return waiting_; });
}

void Writer::resume() {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  wake_.notify_one();
}

void Writer::use_log(std::unique_ptr<SegmentLog> log, LeafDraft first) {
  const std::lock_guard lock(mutex_);
  log_ = std::move(log);
  lost_log_.reset();
  size_ = 0;
  metrics_->entries.Set(0);
  first_leaf_ = std::move(first);
}

void Writer::lose_log(const Error& why) {
  const std::lock_guard lock(mutex_);
  lost_log_ = why;
  if (state_.load() == State::failed || state_.load() == State::closed) return;
  state_ = State::full;
  why_ = why;
}

void Writer::on_growth(std::function<void()> grown) {
  const std::lock_guard lock(mutex_);
  grown_ = std::move(grown);
}

void Writer::stop_for_good(const Error& why) {
  const std::lock_guard lock(mutex_);
  if (state_.load() == State::failed || state_.load() == State::closed) return;
  why_ = why;
  state_ = State::failed;
  spdlog::critical("the ledger stops for good: {}", why.detail);
}

void Writer::close(std::optional<LeafDraft> last) {
  const std::lock_guard closing(close_mutex_);
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    last_leaf_ = std::move(last);
  }
  wake_.notify_one();
  thread_.join();
  {
    const std::lock_guard lock(mutex_);
    watch_stopping_ = true;
    if (state_.load() != State::failed) {
      state_ = State::closed;
      why_ = closed();
    }
  }
  watch_wake_.notify_one();
  watch_thread_.join();
}

void Writer::run() {
  std::vector<Entry> entries;
  while (next_entries(entries)) {
    std::span<Entry> rest(entries);
    do {
      rest = rest.subspan(write_batch(rest));
    } while (!rest.empty() || (state_.load() == State::open && !lost_uses_.empty()));
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
  add_summaries(entries, stopping_);
  const bool over = stopping_ && entries.empty() && !last_leaf_;
  if (stopping_ && last_leaf_) entries.push_back(Entry{std::nullopt, *std::exchange(last_leaf_, std::nullopt), {}});
  return !over;
}

// A batch costs about the same whatever its size: in a crowd it waits for those who are under way.
void Writer::gather(std::unique_lock<std::mutex>& lock) {
  if (places_.load() < crowd) return;
  wake_.wait_for(lock, gathering_time, [this] { return stopping_ || queue_.size() >= places_.load(); });
  wake_.wait(lock, [this] { return !paused_; });
}

void Writer::add_summaries(std::vector<Entry>& entries, bool all) {
  if (state_.load() != State::open && !all) return;
  for (auto& summary : refusals_.take(clock_(), all)) {
    auto draft = EventText(summary.event, {}, {}).finish({}, 0, Outcome::refused, summary.reason);
    entries.push_back(Entry{std::nullopt, std::move(draft), {}});
  }
}

// Also for no entries: then it only looks whether a full disk has room again. When it has none, the entries that follow
// are not tried: nothing may come before what is to be told of these.
std::size_t Writer::write_batch(std::span<Entry> entries) {
  const auto now = std::max(unix_ms(clock_()), last_time_.load());
  builder_.start(log_->next_index());
  if (first_leaf_) builder_.add(*first_leaf_, now);
  lost_uses_.tell(builder_, now);
  std::size_t count = 0;
  while (count < entries.size() && builder_.has_room(max_leaf_size)) builder_.add(entries[count++].draft, now);
  begin(entries.first(count));
  const auto committed = commit(now);
  if (committed) {
    first_leaf_.reset();
    lost_uses_.told();
  } else {
    begin(entries.subspan(count));
    count = entries.size();
    for (auto& entry : entries) lost_uses_.add(std::move(entry.draft.uses));
  }
  settle(entries.first(count), committed, log_->check_space());
  if (committed) log_->seal();
  return count;
}

void Writer::begin(std::span<Entry> batch) {
  bool wake_watch = false;
  {
    const std::lock_guard lock(mutex_);
    for (auto& entry : batch) in_flight_.push_back(std::move(entry.done));
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
  std::vector<Completion<Appended>> waiters;
  std::function<void()> grown;
  {
    const std::lock_guard lock(mutex_);
    waiters.swap(in_flight_);
    busy_since_.reset();
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
    if (waiters[i])
      waiters[i](committed ? Appended(Position{log_->origin(), first_index + i}) : Appended(committed.error()));
  }
  if (grew && grown) grown();
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
// never less.
void Writer::fail_waiters() {
  std::vector<Completion<Appended>> late;
  {
    const std::lock_guard lock(mutex_);
    if (!busy_since_) return;
    if (state_.load() != State::failed) state_ = State::stalled;
    for (auto& waiter : in_flight_) late.push_back(std::move(waiter));
    for (auto& entry : queue_) late.push_back(std::move(entry.done));
  }
  for (auto& waiter : late) {
    if (waiter) waiter(stalled(options_.append_limit));
  }
}

}  // namespace avseal::ledger
