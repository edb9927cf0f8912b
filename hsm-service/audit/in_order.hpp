#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace avseal::audit {

// Makes what `produce(i)` gives for first <= i < end on several threads, and hands it to `consume(i, made)` in order,
// one at a time, on any of them. At most a few times as many as there are threads are held at once. Returns when all
// are consumed.
template <class Produce, class Consume>
void in_order(std::uint64_t first, std::uint64_t end, unsigned threads, Produce produce, Consume consume) {
  using Made = decltype(produce(first));
  const std::uint64_t window = 4 * threads;
  std::mutex mutex;
  std::condition_variable room;
  std::vector<std::optional<Made>> made(window);
  std::uint64_t next = first;
  std::uint64_t consumed = first;
  bool consuming = false;

  const auto run = [&] {
    std::unique_lock lock(mutex);
    for (;;) {
      room.wait(lock, [&] { return next == end || next < consumed + window; });
      if (next == end) return;
      const auto mine = next++;
      lock.unlock();
      auto result = produce(mine);
      lock.lock();
      made[mine % window] = std::move(result);
      if (consuming) continue;
      consuming = true;
      while (consumed < end && made[consumed % window]) {
        auto one = std::move(*made[consumed % window]);
        made[consumed % window].reset();
        lock.unlock();
        consume(consumed, std::move(one));
        lock.lock();
        ++consumed;
        room.notify_all();
      }
      consuming = false;
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(run);
  run();
  for (auto& thread : others) thread.join();
}

}  // namespace avseal::audit
