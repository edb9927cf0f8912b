#include "ledger/writer.hpp"

#include <spdlog/spdlog.h>

#include "ledger/errors.hpp"

namespace avseal::ledger {

namespace {

// A clock that is behind the last leaf by no more is taken for one that was slewed.
constexpr std::chrono::milliseconds clock_tolerance{2000};

constexpr std::chrono::milliseconds places_poll{2};

Error closed() {
  return errors::stopped("the log is closed: the service is stopping");
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

Place Writer::reserve_last() {
  places_.fetch_add(1);
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
  if (stopping_ || stopped()) {
    lock.unlock();
    for (const auto& use : entry.draft.uses) {
      spdlog::error("event=use-lost worker={} key={} sequence={}", use.worker, use.key, use.sequence);
    }
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
      return errors::stalled(options_.append_limit);
    case State::full:
    case State::failed:
    case State::closed:
      break;
  }
  return why_not();
}

bool Writer::stopped() const {
  const auto state = state_.load();
  return state == State::failed || state == State::closed;
}

Error Writer::why_not() const {
  const std::lock_guard lock(mutex_);
  return why_ ? *why_ : closed();
}

std::int64_t Writer::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_().time_since_epoch()).count();
}

Result<void> Writer::check_clock() const {
  const std::chrono::milliseconds behind(last_time_.load() - now_ms());
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

void Writer::await_places(std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (places_.load() != 0 && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(places_poll);
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

}  // namespace avseal::ledger
