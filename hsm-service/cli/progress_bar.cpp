#include "cli/progress_bar.hpp"

#include <cstdio>
#include <unistd.h>

#include <fmt/format.h>

namespace avseal::cli {
namespace {

constexpr std::chrono::milliseconds between{100};
constexpr std::size_t width = 30;

}  // namespace

ProgressBar::ProgressBar(std::string what, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (shown_ != std::chrono::steady_clock::time_point{}) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::show(std::uint64_t done, std::uint64_t all) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || all == 0 || now - shown_ < between) return;
  shown_ = now;
  const double share = static_cast<double>(done) / static_cast<double>(all);
  const auto full = static_cast<std::size_t>(share * width);
  const std::chrono::duration<double> seconds = now - begun_;
  fmt::print(stderr, "\r{} [{:<{}}] {:3.0f} %  {} of {} {}, {:.0f} k/s\x1b[K", what_, std::string(full, '#'), width,
             share * 100, done, all, unit_, static_cast<double>(done) / seconds.count() / 1000);
  std::fflush(stderr);
}

}  // namespace avseal::cli
