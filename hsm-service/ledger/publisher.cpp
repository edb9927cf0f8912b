#include "ledger/publisher.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "ledger/errors.hpp"
#include "ledger/start_leaf.hpp"

namespace avseal::ledger {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds longest_pause{30'000};  // between two tries
constexpr std::chrono::hours uses_interval{1};              // between two leaves that tell the uses of the ledger key
constexpr std::size_t max_runs = 256;                       // of sequences in such a leaf
constexpr std::chrono::hours longest_wait{1};
constexpr std::chrono::seconds turn_poll{1};  // how often it is looked whether a log may end whose year is over

bool is_of(const std::optional<Published>& known, const Published& checkpoint) {
  return known && known->origin == checkpoint.origin && known->root == checkpoint.root;
}

}  // namespace

Publisher::Publisher(Checkpointer checkpointer, Periods& periods, Writer& writer, std::chrono::milliseconds interval,
                     std::shared_ptr<Metrics> metrics)
    : periods_(periods),
      writer_(writer),
      interval_(interval),
      metrics_(std::move(metrics)),
      checkpointer_(std::move(checkpointer)),
      published_(checkpointer_.published()),
      closed_(periods.last_closed()),
      uses_told_(SteadyClock::now()) {
  metrics_->published.Set(static_cast<double>(checkpointer_.size()));
  thread_ = std::thread([this] { run(); });
}

void Publisher::use_signer(CheckpointSigner* signer) {
  std::unique_lock lock(mutex_);
  signer_ = signer;
  idle_.wait(lock, [this] { return !publishing_; });
  wake_.notify_one();
}

void Publisher::grown() {
  {
    const std::lock_guard lock(mutex_);
    if (!may_publish() || publishing_ || wake_at_ <= next_round_) return;
  }
  wake_.notify_one();
}

void Publisher::wait_until_covered(std::uint64_t index, Time deadline, Completion<Result<Published>> done) {
  {
    const std::lock_guard lock(mutex_);
    if (thread_.joinable() && !stopped_ && !closing_) {
      waiters_.push_back({index, deadline, std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  done(errors::not_covered(index));
}

std::optional<Published> Publisher::published() const {
  const std::lock_guard lock(mutex_);
  return published_;
}

std::optional<Published> Publisher::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void Publisher::add(const Published& checkpoint, std::vector<tlog::NoteSignature> signatures) {
  {
    const std::lock_guard lock(mutex_);
    const bool current = is_of(published_, checkpoint);
    if (!current && !is_of(closed_, checkpoint)) return;
    std::move(signatures.begin(), signatures.end(), std::back_inserter(current ? cosignatures_ : closed_cosignatures_));
  }
  wake_.notify_one();
}

CheckpointUses Publisher::take_uses() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !publishing_; });
  uses_told_ = SteadyClock::now();
  return checkpointer_.take_uses();
}

void Publisher::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Publisher::run() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    wake_at_ = next_wake();
    wake_.wait_until(lock, wake_at_);
    if (may_publish() && SteadyClock::now() >= next_round_) publish(lock);
    if (!cosignatures_.empty() && !stopped_) add_cosignatures(lock);
    if (may_turn()) turn(lock);
    if (!closed_cosignatures_.empty() && !turning_) add_to_closed(lock);
    resume_waiters(SteadyClock::now());
  }
  for (bool again = true; again && may_publish(); again = failures_ == 0) publish(lock);
  resume_waiters(Time::max());
}

bool Publisher::may_publish() const {
  return signer_ != nullptr && !stopped_ && !turning_ && writer_.size() > (published_ ? published_->size : 0);
}

bool Publisher::may_turn() const {
  if (signer_ == nullptr || stopped_) return false;
  if (turning_) return SteadyClock::now() >= next_round_;
  return failures_ == 0 && periods_.left().count() <= 0 && writer_.healthy();
}

Publisher::Time Publisher::next_wake() const {
  const auto left = std::chrono::duration_cast<SteadyClock::duration>(periods_.left());
  auto wake = SteadyClock::now() + std::clamp<SteadyClock::duration>(left, turn_poll, longest_wait);
  if (may_publish() || (turning_ && signer_ != nullptr && !stopped_)) wake = std::min(wake, next_round_);
  if (!cosignatures_.empty() && !stopped_) wake = SteadyClock::now();
  if (!closed_cosignatures_.empty() && !turning_) wake = SteadyClock::now();
  for (const auto& waiter : waiters_) wake = std::min(wake, waiter.deadline);
  return wake;
}

void Publisher::publish(std::unique_lock<std::mutex>& lock) {
  const auto started = SteadyClock::now();
  auto& signer = *signer_;
  publishing_ = true;
  lock.unlock();
  const auto committed = writer_.size();
  const auto done = checkpointer_.publish(committed, signer);
  if (done) tell_uses(started);
  lock.lock();
  if (done) {
    succeeded(started, checkpointer_.size() < committed);
  } else {
    failed("checkpoint-failed", done.error());
  }
  publishing_ = false;
  idle_.notify_all();
}

void Publisher::add_cosignatures(std::unique_lock<std::mutex>& lock) {
  const auto signatures = std::exchange(cosignatures_, {});
  publishing_ = true;
  lock.unlock();
  const auto added = checkpointer_.add(signatures);
  lock.lock();
  if (added) {
    published_ = checkpointer_.published();
  } else {
    failed("checkpoint-failed", added.error());
  }
  publishing_ = false;
  idle_.notify_all();
}

// Nothing is lost for the log that is not: it stands without them.
void Publisher::add_to_closed(std::unique_lock<std::mutex>& lock) {
  const auto signatures = std::exchange(closed_cosignatures_, {});
  const auto last = *closed_;
  lock.unlock();
  const auto added = periods_.cosign(last, signatures);
  lock.lock();
  if (added) {
    closed_ = *added;
  } else {
    spdlog::warn("event=ledger-closed-not-cosigned log={} detail=\"{}\"", last.origin, added.error().detail);
  }
}

void Publisher::turn(std::unique_lock<std::mutex>& lock) {
  auto& signer = *signer_;
  publishing_ = true;
  lock.unlock();
  writer_.pause();
  const auto done = begin_next_log(signer);
  writer_.resume();
  lock.lock();
  if (done) {
    turning_ = false;
    failures_ = 0;
    next_round_ = SteadyClock::now();
  } else {
    failed(turning_ ? "ledger-turn-failed" : "checkpoint-failed", done.error());
  }
  publishing_ = false;
  idle_.notify_all();
  if (!done) return;
  const auto last = *closed_;
  lock.unlock();
  periods_.freeze(last);
  lock.lock();
}

// The writer is paused: what it has is published, then its log makes room for the next.
Result<void> Publisher::begin_next_log(CheckpointSigner& signer) {
  while (checkpointer_.size() < writer_.size()) AVSEAL_CHECK(checkpointer_.publish(writer_.size(), signer));
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(turning_, true)) {
      published_ = checkpointer_.published();
      resume_waiters(SteadyClock::now());
      closed_ = std::exchange(published_, std::nullopt);
      cosignatures_.clear();
      closed_cosignatures_.clear();
    }
  }
  auto next = periods_.turn();
  if (!next) {
    writer_.lose_log(next.error());
    return next.error();
  }
  const auto uses = checkpointer_.take_uses();
  checkpointer_ = std::move(*next->checkpointer);
  writer_.use_log(std::move(next->segments), start_leaf(StartOf::log, periods_.origin(), {}, next->previous, uses));
  spdlog::info("event=ledger-turned origin={}", periods_.origin());
  return {};
}

void Publisher::succeeded(Time started, bool more) {
  published_ = checkpointer_.published();
  cosignatures_.clear();
  next_round_ = more ? started : started + interval_;
  metrics_->published.Set(static_cast<double>(checkpointer_.size()));
  metrics_->published_at.SetToCurrentTime();
  if (failures_ != 0) spdlog::info("event=checkpoint-restored failures={} size={}", failures_, checkpointer_.size());
  failures_ = 0;
}

void Publisher::failed(std::string_view event, const Error& error) {
  count(metrics_->checkpoint_failures, error.reason);
  if (Checkpointer::is_for_good(error)) {
    stopped_ = true;
    writer_.stop_for_good(error);
    return;
  }
  if (failures_ == 0) spdlog::error("event={} reason={} detail=\"{}\"", event, error.reason, error.detail);
  next_round_ = SteadyClock::now() + std::min(longest_pause, interval_ * (1 << std::min(failures_, 5U)));
  ++failures_;
}

void Publisher::resume_waiters(Time now) {
  for (auto& waiter : waiters_) {
    if (published_ && published_->size > waiter.index) {
      waiter.done(*published_);
    } else if (waiter.deadline <= now || stopped_) {
      waiter.done(errors::not_covered(waiter.index));
    }
  }
  std::erase_if(waiters_, [](const Waiter& waiter) { return !waiter.done; });
}

void Publisher::tell_uses(Time now) {
  const auto& uses = checkpointer_.uses();
  if (uses.empty() || (now - uses_told_ < uses_interval && uses.runs() < max_runs)) return;
  Event event;
  event.type = "ledger.checkpoints";
  event.details["uses"] = uses.json();
  uses_told_ = now;
  const auto told = writer_.append_own(EventText(event, {}, {}).finish({}, 0, Outcome::released, {}));
  if (told) (void)checkpointer_.take_uses();
}

}  // namespace avseal::ledger
