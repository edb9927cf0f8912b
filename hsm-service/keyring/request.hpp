// One use of a key in an HSM worker, as a coroutine waits for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/use_awaitable.hpp>

#include "keyring/keyring.hpp"
#include "tokend/protocol.hpp"

namespace avseal::keyring {

using Instant = std::chrono::steady_clock::time_point;

// Resumes the waiting coroutine; to be posted, once.
using Resumption = boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;

struct Answer {
  Bytes value;
  std::uint64_t sequence = 0;                   // of the key in that worker process
  std::shared_ptr<const std::string> instance;  // the worker process
  std::size_t worker = 0;                       // index in the pool
};

// The set of a pool's workers, at most 64.
class WorkerSet {
 public:
  [[nodiscard]] bool has(std::size_t worker) const { return (bits_ >> worker & 1U) != 0; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }
  void add(std::size_t worker) { bits_ |= std::uint64_t{1} << worker; }
  void remove(std::size_t worker) { bits_ &= ~(std::uint64_t{1} << worker); }
  void clear() { bits_ = 0; }

 private:
  std::uint64_t bits_ = 0;
};
inline constexpr std::size_t max_workers = 64;

// Lives in the frame of the coroutine that waits for it; input and aad outlive it. Everything below `only` is the
// pool's.
struct Request {
  tokend::FrameType operation = tokend::FrameType::sign;
  std::size_t key = 0;  // index in the pool
  ByteView input;
  ByteView aad;
  Instant deadline;
  Priority priority = Priority::live;
  bool for_slot = false;            // a signature, of what a slot is open for
  std::optional<std::size_t> only;  // this worker and no other, one attempt (probes)

  Instant submitted;
  WorkerSet outstanding;                 // workers that have an attempt of it
  WorkerSet failed;                      // workers that failed it, avoided from then on
  bool waiting = false;                  // in its key's queue
  Instant not_before;                    // every worker failed it: not tried again before
  std::chrono::milliseconds backoff{0};  // doubled each time that happens
  std::string last_failure;
  std::optional<Result<Answer>> answer;
  std::optional<Resumption> resume;
};

}  // namespace avseal::keyring
