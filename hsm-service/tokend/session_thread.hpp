#pragma once

#include "tokend/recovery.hpp"

namespace avseal::tokend {

// A request whose key is known and whose input was checked.
struct Job {
  std::uint64_t connection = 0;
  std::size_t key = 0;  // index in Hsm::keys()
  Request request;
  std::chrono::steady_clock::time_point submitted;
  NumberToClaim crl_number;
};

// What one thread does with its session. A session that was lost is never used again: it is replaced, and the request
// tried once more on the new one.
class SessionThread {
 public:
  SessionThread(Hsm& hsm, Recovery& recovery, Watchdog& watchdog, std::size_t index,
                std::atomic<unsigned>& open_sessions)
      : hsm_(hsm), recovery_(recovery), watchdog_(watchdog), index_(index), open_sessions_(open_sessions) {}

  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] bool has_session() const { return session_.has_value(); }

  Result<void> open();  // a session, if it has none of this generation; an error: the token has none to spare
  Result<Bytes> execute(const Job& job);
  void keep_alive();  // a probe with one key after the other

 private:
  Result<Bytes> attempt(const Job& job);
  Result<Bytes> call(const Job& job);
  Remedy judge(const Job& job, const Error& error);
  void count_failure(const Error& error);
  std::optional<HsmSession> take_session();

  Hsm& hsm_;
  Recovery& recovery_;
  Watchdog& watchdog_;
  const std::size_t index_;
  std::atomic<unsigned>& open_sessions_;
  std::optional<HsmSession> session_;
  std::uint32_t failures_ = 0;  // in a row, of this session
  std::size_t kept_alive_ = 0;
};

}  // namespace avseal::tokend
