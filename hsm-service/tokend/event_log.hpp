#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace avseal::tokend {

// Warnings that may come in floods, from any thread: those with one key are written once a second, with the number of
// those that were left out.
class EventLog {
 public:
  void warn(const std::string& key, const std::string& line);

 private:
  struct Entry {
    std::chrono::steady_clock::time_point written;
    std::uint64_t left_out = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // keys are of a small set: events, keys of the HSM, codes
};

}  // namespace avseal::tokend
