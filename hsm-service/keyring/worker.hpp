// The connection of one io thread to one HSM worker process.
#pragma once

#include <filesystem>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "keyring/metrics.hpp"
#include "keyring/request.hpp"

namespace avseal::keyring {

class Pool;

struct WorkerAddress {
  std::size_t token_index;
  std::string token;
  std::size_t number;  // of the token's, from 1
  std::filesystem::path socket;
};

// Connects, compares keys, carries up to `window` requests at once and connects again when the connection is lost.
// Frames queued during one turn of the loop leave in one write. Reports to its Pool, which owns it.
class Worker {
 public:
  Worker(Pool& pool, std::size_t index, WorkerAddress address, std::size_t window,
         boost::asio::any_io_executor executor, prometheus::Registry& registry);

  // Runs until close(); `keep` owns this worker.
  boost::asio::awaitable<void> run(std::shared_ptr<Pool> keep);
  void close();

  [[nodiscard]] bool usable(std::size_t key) const { return ready_ && why_not_[key].empty(); }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] bool full() const { return free_.empty(); }
  [[nodiscard]] std::size_t outstanding() const { return entries_.size() - free_.size(); }
  [[nodiscard]] bool owes() const { return overdue_ > 0; }
  // It owes an overdue answer or failed a request just now: used only if no other worker has the key.
  [[nodiscard]] bool suspect(Instant now) const { return owes() || now < avoid_until_; }
  // Gave a signature that did not verify, so each of its signatures is verified until it is replaced.
  [[nodiscard]] bool distrusted() const { return distrusted_; }
  // Empty, or why it does not do this key's work now.
  [[nodiscard]] std::string why_not(std::size_t key) const;
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::size_t token() const { return address_.token_index; }
  [[nodiscard]] WorkerStatus status() const;

  // Queues an attempt; needs usable(request.key) and not full(). Fails if the request fits no frame.
  Result<void> send(Request& request, Instant now);
  // The request was answered otherwise: a reply to its attempt will be discarded.
  void forget(const Request& request);
  // Marks attempts that outlived the limit and gives their requests back to the pool.
  void sweep(Instant now, std::chrono::milliseconds attempt_limit);
  void avoid(Instant now);  // it failed a request: avoided for a while, longer each time in a row
  void give_up_late();      // ends the connection if it owes a signature, but for a checkpoint that is waited for
  void distrust() { distrusted_ = true; }

 private:
  struct Entry {
    std::uint64_t id = 0;  // 0: free. Low 16 bits: index in entries_; the rest differs for each use
    Request* request = nullptr;
    std::size_t key = 0;
    Instant sent;
    bool overdue = false;
    std::string digest;  // of a forgotten signature's input
  };

  boost::asio::awaitable<Result<void>> connect(std::shared_ptr<Pool> keep);
  boost::asio::awaitable<Result<tokend::ServerHello>> exchange_hellos();
  boost::asio::awaitable<Error> serve();
  Result<void> dispatch();
  Result<void> take_reply(ByteView body);
  void accept(tokend::ServerHello hello);
  void unreachable(const Error& why);
  void lost(const Error& why);
  void schedule_flush();
  void flush();
  AttemptMetrics& attempt_metrics(std::size_t key);
  void release(Entry& entry);
  void close_socket();

  Pool& pool_;
  const std::size_t index_;
  const WorkerAddress address_;
  boost::asio::local::stream_protocol::socket socket_;
  boost::asio::steady_timer timer_;
  WorkerMetrics metrics_;

  bool closed_ = false;
  bool ready_ = false;
  std::uint64_t epoch_ = 0;  // counts connections; handlers of an earlier one do nothing
  std::string problem_ = "not connected yet";
  std::uint32_t recoveries_ = 0;
  std::shared_ptr<const std::string> instance_;
  std::vector<std::string> why_not_;          // by key; empty: usable
  std::vector<std::uint64_t> last_sequence_;  // by key

  std::vector<Entry> entries_;
  std::vector<std::uint16_t> free_;
  std::uint64_t uses_ = 0;
  std::size_t overdue_ = 0;
  Instant avoid_until_;
  std::chrono::milliseconds avoid_for_{0};
  bool distrusted_ = false;

  std::optional<tokend::FrameReader> reader_;  // of this connection
  Bytes queued_;
  Bytes sending_;
  bool writing_ = false;
  bool flush_scheduled_ = false;
};

}  // namespace avseal::keyring
