#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace avseal::http {

// Runs what blocks on a thread of the pool; the caller resumes on its own executor. `work` owns what it uses, for the
// caller may be gone before it ends.
template <class Work>
boost::asio::awaitable<std::invoke_result_t<Work&>> on_pool(boost::asio::thread_pool& pool, Work work) {
  auto job = [](Work owned) -> boost::asio::awaitable<std::invoke_result_t<Work&>> { co_return owned(); };
  auto running = job(std::move(work));
  co_return co_await boost::asio::co_spawn(pool, std::move(running), boost::asio::use_awaitable);
}

}  // namespace avseal::http
