#pragma once

#include <atomic>
#include <deque>
#include <future>

#include <boost/asio/any_io_executor.hpp>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "ledger/ledger.hpp"

namespace avseal::service {

// The leaves of the node itself, which nobody asked for: each is told once what it is about has happened, so it cannot
// be refused. They are written one after the other in the order in which they are told; one that a full, busy or
// stalled log does not take waits for it, with all that come after it, and says in details.waited_ms for how long.
// After a stall a leaf may be there twice. One that is lost all the same, because the log has stopped for good, the
// service ends or too many wait, is an error in the log of the service, in full, and counted.
class OwnLeaves {
 public:
  // The executor is of one thread, which runs for as long as this lives.
  OwnLeaves(ledger::Ledger& ledger, boost::asio::any_io_executor executor, prometheus::Registry& metrics);
  ~OwnLeaves() { finish(); }
  OwnLeaves(const OwnLeaves&) = delete;
  OwnLeaves& operator=(const OwnLeaves&) = delete;

  // From any thread, never waits; the event has no subjects. Ready when the leaf is on disk, or lost.
  std::shared_future<void> tell(ledger::Event event, ledger::Outcome outcome = ledger::Outcome::released,
                                std::string_view reason = {});
  std::shared_future<void> tell(std::string type, boost::json::object details,
                                ledger::Outcome outcome = ledger::Outcome::released, std::string_view reason = {});

  // Says so of a leaf that could not be written at all: event=leaf-lost, avseal_ledger_leaves_lost_total.
  void lost(const ledger::Event& event, const Error& why);

  // The service ends: from now on what is told goes into the log's reserve if need be, and waits no longer.
  void hurry() { hurried_ = true; }
  // hurry(), and returns when all that was told is written or lost. From one thread at a time, not the executor's.
  void finish();

 private:
  struct Leaf {
    ledger::Event event;
    ledger::Outcome outcome;
    std::string reason;
    std::chrono::steady_clock::time_point told;
    std::promise<void> done;
  };
  void take(Leaf leaf);
  boost::asio::awaitable<void> write_all();
  boost::asio::awaitable<void> write(Leaf leaf);
  boost::asio::awaitable<Result<void>> try_until_last(const Leaf& leaf);
  boost::asio::awaitable<Result<void>> try_once(const Leaf& leaf, bool last);
  void tell_finished();

  ledger::Ledger& ledger_;
  const boost::asio::any_io_executor executor_;
  prometheus::Counter& lost_;
  std::atomic<bool> hurried_{false};
  std::deque<Leaf> waiting_;  // the executor's, as the next
  bool writing_ = false;      // write_all() runs
  std::size_t under_way_ = 0;
  std::promise<void>* finished_ = nullptr;  // whoever waits in finish()
};

}  // namespace avseal::service
