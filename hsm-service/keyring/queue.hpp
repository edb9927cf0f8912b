// The requests that wait for one key's workers.
#pragma once

#include <algorithm>
#include <array>
#include <deque>

#include "keyring/request.hpp"

namespace avseal::keyring {

// Bounded; each priority in order of arrival.
class RequestQueue {
 public:
  using Line = std::deque<Request*>;

  explicit RequestQueue(std::size_t limit) : limit_(limit) {}

  [[nodiscard]] std::size_t size() const { return lines_[0].size() + lines_[1].size(); }
  [[nodiscard]] Line& line(Priority priority) { return lines_[static_cast<std::size_t>(priority)]; }
  // Batch work takes at most half of the room, so that it cannot keep live requests out.
  [[nodiscard]] bool admits(Priority priority) const {
    return size() < (priority == Priority::live ? limit_ : std::max<std::size_t>(limit_ / 2, 1));
  }
  void push_back(Request& request) { line(request.priority).push_back(&request); }
  void push_front(Request& request) { line(request.priority).push_front(&request); }
  void erase(Request& request) {
    auto& from = line(request.priority);
    from.erase(std::find(from.begin(), from.end(), &request));
  }

 private:
  std::size_t limit_;
  std::array<Line, 2> lines_;  // by Priority
};

}  // namespace avseal::keyring
