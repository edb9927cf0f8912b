#pragma once

#include <chrono>
#include <string>

namespace avseal::cli {

// One line on the terminal that standard error is; nothing if it is none.
class ProgressBar {
 public:
  ProgressBar(std::string what, std::string unit);
  ~ProgressBar();  // clears the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::uint64_t done, std::uint64_t all);

 private:
  const std::string what_;
  const std::string unit_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_;
};

}  // namespace avseal::cli
