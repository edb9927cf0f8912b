// LD_PRELOAD: steps the time of day as one process sees it, while it runs. AVSEAL_SHIFTED_CLOCK names a file of eight
// bytes, a little-endian std::int64_t: nanoseconds that are added to CLOCK_REALTIME, gettimeofday() and time(). Other
// clocks stay, as when a clock is set. tests/support/shifted_clock.py writes the file.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

constexpr std::int64_t second = 1'000'000'000;

// The file's page, mapped once; null without a file.
const std::atomic<std::int64_t>* shift_page() {
  const char* path = std::getenv("AVSEAL_SHIFTED_CLOCK");
  const int file = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* page = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  return page == MAP_FAILED ? nullptr : static_cast<const std::atomic<std::int64_t>*>(page);
}

std::int64_t shifted_now() {
  static const auto* const page = shift_page();
  timespec real{};
  ::syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
  return real.tv_sec * second + real.tv_nsec + (page == nullptr ? 0 : page->load(std::memory_order_relaxed));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t id, timespec* out) noexcept {
  if (id != CLOCK_REALTIME) return static_cast<int>(::syscall(SYS_clock_gettime, id, out));
  const auto now = shifted_now();
  out->tv_sec = now / second;
  out->tv_nsec = now % second;
  return 0;
}

int gettimeofday(timeval* __restrict out, void* __restrict) noexcept {
  const auto now = shifted_now();
  out->tv_sec = now / second;
  out->tv_usec = now % second / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  const auto now = shifted_now() / second;
  if (out != nullptr) *out = now;
  return now;
}
}
