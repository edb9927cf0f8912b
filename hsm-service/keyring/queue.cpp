#include "keyring/queue.hpp"

#include <algorithm>
#include <cmath>

namespace avseal::keyring {
namespace {

using namespace std::chrono_literals;

constexpr auto shortest_window = 20ms;
constexpr auto longest_window = 200ms;  // a longer one has a pause in it: no rate of service
constexpr double weight = 0.25;         // of a new window
constexpr double longest_retry = 30;    // seconds

}  // namespace

void ServiceRate::answered(Instant now) {
  if (window_begin_ == Instant{} || now - window_begin_ > longest_window) {
    window_begin_ = now;
    answers_ = 0;
    return;
  }
  ++answers_;
  if (now - window_begin_ < shortest_window) return;
  const double seen = answers_ / std::chrono::duration<double>(now - window_begin_).count();
  per_second_ = per_second_ == 0 ? seen : (1 - weight) * per_second_ + weight * seen;
  window_begin_ = now;
  answers_ = 0;
}

bool RequestQueue::has_room(Priority priority) const {
  return size() < (priority == Priority::live ? limit_ : std::max<std::size_t>(limit_ / 2, 1));
}

std::chrono::microseconds RequestQueue::expected_wait(Priority priority) const {
  if (rate_.per_second() == 0) return {};
  const std::size_t before = priority == Priority::live ? lines_[0].size() : size();
  return std::chrono::microseconds(static_cast<std::int64_t>(1e6 * static_cast<double>(before) / rate_.per_second()));
}

std::chrono::seconds RequestQueue::retry_after() const {
  if (rate_.per_second() == 0) return 1s;
  const double seconds = std::ceil(static_cast<double>(size()) / rate_.per_second());
  return std::chrono::seconds(static_cast<std::int64_t>(std::clamp(seconds, 1.0, longest_retry)));
}

void RequestQueue::erase(Request& request) {
  auto& from = line(request.priority);
  from.erase(std::find(from.begin(), from.end(), &request));
}

void RequestQueue::answered(Instant now) {
  if (size() == 0) {
    rate_.pause();
  } else {
    rate_.answered(now);
  }
}

}  // namespace avseal::keyring
