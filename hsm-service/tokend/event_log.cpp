#include "tokend/event_log.hpp"

#include <spdlog/spdlog.h>

namespace avseal::tokend {

namespace {

constexpr std::chrono::seconds period{1};

}  // namespace

void EventLog::warn(const std::string& key, const std::string& line) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  const auto [found, fresh] = entries_.try_emplace(key);
  Entry& entry = found->second;
  if (!fresh && now - entry.written < period) {
    ++entry.left_out;
    return;
  }
  if (entry.left_out > 0) {
    spdlog::warn("{} left_out={}", line, entry.left_out);
  } else {
    spdlog::warn("{}", line);
  }
  entry = {now, 0};
}

}  // namespace avseal::tokend
