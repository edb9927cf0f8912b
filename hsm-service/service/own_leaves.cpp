#include "service/own_leaves.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <spdlog/spdlog.h>

#include "service/log.hpp"

namespace avseal::service {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto retry_interval = 250ms;
constexpr std::size_t max_waiting = 16384;

}  // namespace

OwnLeaves::OwnLeaves(ledger::Ledger& ledger, asio::any_io_executor executor, prometheus::Registry& metrics)
    : ledger_(ledger),
      executor_(std::move(executor)),
      lost_(prometheus::BuildCounter()
                .Name("avseal_ledger_leaves_lost_total")
                .Help("Leaves of the node itself that could not be written at all; its log has them (event=leaf-lost)")
                .Register(metrics)
                .Add({})) {}

void OwnLeaves::lost(const ledger::Event& event, const Error& why) {
  spdlog::error("event=leaf-lost type={} details={} reason={} detail={}", event.type,
                log_value(boost::json::serialize(event.details)), why.reason, log_value(why.detail));
  lost_.Increment();
}

std::shared_future<void> OwnLeaves::tell(std::string type, boost::json::object details, ledger::Outcome outcome,
                                         std::string_view reason) {
  ledger::Event event;
  event.type = std::move(type);
  event.details = std::move(details);
  return tell(std::move(event), outcome, reason);
}

std::shared_future<void> OwnLeaves::tell(ledger::Event event, ledger::Outcome outcome, std::string_view reason) {
  Leaf leaf{std::move(event), outcome, std::string(reason), SteadyClock::now(), {}};
  auto done = leaf.done.get_future().share();
  asio::post(executor_, [this, told = std::move(leaf)]() mutable { take(std::move(told)); });
  return done;
}

void OwnLeaves::finish() {
  hurry();
  std::promise<void> finished;
  asio::post(executor_, [this, &finished] {
    finished_ = &finished;
    tell_finished();
  });
  finished.get_future().wait();
  asio::post(executor_, std::packaged_task<void()>([] {})).get();  // the last coroutine has ended
}

void OwnLeaves::tell_finished() {
  if (finished_ != nullptr && !writing_ && under_way_ == 0) std::exchange(finished_, nullptr)->set_value();
}

void OwnLeaves::take(Leaf leaf) {
  if (waiting_.size() >= max_waiting) {
    lost(leaf.event, errors::make(Category::unavailable, "ledger-busy",
                                  std::to_string(max_waiting) + " leaves of the node wait for the log already"));
    return leaf.done.set_value();
  }
  waiting_.push_back(std::move(leaf));
  if (!std::exchange(writing_, true)) asio::co_spawn(executor_, write_all(), asio::detached);
}

// One after the other while they may wait; then all at once, still in their order, so that the log commits them
// together.
asio::awaitable<void> OwnLeaves::write_all() {
  while (!waiting_.empty()) {
    auto leaf = std::move(waiting_.front());
    waiting_.pop_front();
    ++under_way_;
    auto writing = write(std::move(leaf));
    if (hurried_) {
      asio::co_spawn(executor_, std::move(writing), asio::detached);
    } else {
      co_await std::move(writing);
    }
  }
  writing_ = false;
  tell_finished();
}

asio::awaitable<void> OwnLeaves::write(Leaf leaf) {
  auto written = co_await try_until_last(leaf);
  if (!written) lost(leaf.event, written.error());
  leaf.done.set_value();
  --under_way_;
  tell_finished();
}

asio::awaitable<Result<void>> OwnLeaves::try_until_last(const Leaf& leaf) {
  asio::steady_timer timer(executor_);
  for (bool waits = false;; waits = true) {
    const bool last = hurried_;
    auto written = co_await try_once(leaf, last);
    if (written || last || ledger_.stopped() || written.error().category == Category::internal) co_return written;
    if (!waits) spdlog::warn("event=leaf-waits type={} reason={}", leaf.event.type, written.error().reason);
    timer.expires_after(retry_interval);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<Result<void>> OwnLeaves::try_once(const Leaf& leaf, bool last) {
  auto event = leaf.event;
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - leaf.told);
  if (waited >= retry_interval) event.details["waited_ms"] = waited.count();
  auto opening = last ? ledger_.open_last_slot(std::move(event)) : ledger_.open_slot(std::move(event));
  auto slot = co_await std::move(opening);
  if (!slot) co_return slot.error();
  auto index = co_await slot->commit(leaf.outcome, leaf.reason);
  if (!index) co_return index.error();
  co_return Result<void>{};
}

}  // namespace avseal::service
