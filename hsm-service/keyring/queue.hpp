// The requests that wait for one key's workers, and how fast they are served.
#pragma once

#include <array>
#include <deque>

#include "keyring/request.hpp"

namespace avseal::keyring {

// Answers per second while requests wait, smoothed over about a tenth of a second.
class ServiceRate {
 public:
  void answered(Instant now);
  void pause() { window_begin_ = {}; }                             // nothing waits, so the next answers say nothing
  [[nodiscard]] double per_second() const { return per_second_; }  // 0: not known yet

 private:
  double per_second_ = 0;
  Instant window_begin_;
  unsigned answers_ = 0;
};

// Bounded; each priority in order of arrival.
class RequestQueue {
 public:
  using Line = std::deque<Request*>;

  explicit RequestQueue(std::size_t limit) : limit_(limit) {}

  [[nodiscard]] std::size_t size() const { return lines_[0].size() + lines_[1].size(); }
  [[nodiscard]] Line& line(Priority priority) { return lines_[static_cast<std::size_t>(priority)]; }
  // Whether there is room. Batch work takes at most half of it, so that it cannot keep live requests out.
  [[nodiscard]] bool has_room(Priority priority) const;
  // How long a request that comes now waits, by the measured rate; 0 while that is not known.
  [[nodiscard]] std::chrono::microseconds expected_wait(Priority priority) const;
  [[nodiscard]] std::chrono::seconds retry_after() const;  // when what waits now will have been served

  void push_back(Request& request) { line(request.priority).push_back(&request); }
  void push_front(Request& request) { line(request.priority).push_front(&request); }
  void erase(Request& request);
  void answered(Instant now);  // one of the key's requests, waiting or not

 private:
  std::size_t limit_;
  std::array<Line, 2> lines_;  // by Priority
  ServiceRate rate_;
};

}  // namespace avseal::keyring
