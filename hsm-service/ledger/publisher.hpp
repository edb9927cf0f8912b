#pragma once

#include "ledger/periods.hpp"
#include "ledger/writer.hpp"

namespace avseal::ledger {

// The one thread that publishes the log: a checkpoint as soon as there are leaves that none covers, but at most one per
// interval. While there is no signature it tries again, and the log goes on growing; what it cannot trust any more
// stops the log for good. When the log's year is over and all of it is published, the next log begins; while there is
// no room for it, it tries again.
class Publisher {
 public:
  Publisher(Checkpointer checkpointer, Periods& periods, Writer& writer, std::chrono::milliseconds interval,
            std::shared_ptr<Metrics> metrics);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  ~Publisher() { close(); }

  void use_signer(CheckpointSigner* signer);  // returns when the one before is not used any more
  void grown();                               // there may be new leaves; does not wait
  void wait_until_covered(std::uint64_t index, std::chrono::steady_clock::time_point deadline,
                          Completion<Result<Published>> done);
  [[nodiscard]] std::optional<Published> published() const;
  [[nodiscard]] std::optional<Published> closed() const;                               // see Ledger::closed()
  void add(const Published& checkpoint, std::vector<tlog::NoteSignature> signatures);  // see Ledger::cosigned()
  [[nodiscard]] CheckpointUses take_uses();                                            // for a leaf that tells them
  void close();  // publishes what is committed, if it can; joins the thread

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Waiter {
    std::uint64_t index;
    Time deadline;
    Completion<Result<Published>> done;
  };

  void run();
  [[nodiscard]] bool may_publish() const;
  [[nodiscard]] bool may_turn() const;
  [[nodiscard]] Time next_wake() const;
  void publish(std::unique_lock<std::mutex>& lock);
  void add_cosignatures(std::unique_lock<std::mutex>& lock);
  void add_to_closed(std::unique_lock<std::mutex>& lock);
  void turn(std::unique_lock<std::mutex>& lock);
  Result<void> begin_next_log(CheckpointSigner& signer);
  void succeeded(Time started, bool more);
  void failed(std::string_view event, const Error& error);
  void resume_waiters(Time now);
  void tell_uses(Time now);

  Periods& periods_;
  Writer& writer_;
  const std::chrono::milliseconds interval_;
  const std::shared_ptr<Metrics> metrics_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;  // the signer is not in use
  Checkpointer checkpointer_;     // the thread's, while it publishes
  CheckpointSigner* signer_ = nullptr;
  std::optional<Published> published_;
  std::optional<Published> closed_;
  std::vector<Waiter> waiters_;
  std::vector<tlog::NoteSignature> cosignatures_;         // of published_, not in it yet
  std::vector<tlog::NoteSignature> closed_cosignatures_;  // of closed_, likewise
  Time next_round_{};
  Time wake_at_{};
  Time uses_told_;
  unsigned failures_ = 0;  // since the last success
  bool publishing_ = false;
  bool turning_ = false;  // the log is closed, or about to be; the next has not begun
  bool stopped_ = false;  // for good
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace avseal::ledger
