#include "clock/kernel.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace avseal::clock {
namespace {

Error unsynchronised(std::string why) {
  return errors::make(Category::unavailable, "clock-unsynchronised", std::move(why));
}

}  // namespace

Result<void> judge_kernel(int state, const timex& told) {
  if (state == TIME_ERROR || (told.status & STA_UNSYNC) != 0) {
    return unsynchronised("the kernel says that nothing synchronises its clock; start chrony or systemd-timesyncd");
  }
  const auto error = static_cast<double>(told.maxerror) / 1e6;
  if (error > max_error) {
    return unsynchronised(fmt::format("the kernel's clock may be wrong by {:.1f} s", error));
  }
  return {};
}

Result<void> ask_kernel() {
  timex told{};
  const int state = adjtimex(&told);
  if (state < 0)
    return unsynchronised(fmt::format("the kernel's clock state cannot be read: {}", std::strerror(errno)));
  return judge_kernel(state, told);
}

}  // namespace avseal::clock
