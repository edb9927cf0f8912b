#pragma once

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace avseal::test {

// Runs one coroutine to its end on a context of its own.
inline void run(boost::asio::awaitable<void> coroutine) {
  boost::asio::io_context context;
  boost::asio::co_spawn(context, std::move(coroutine), boost::asio::detached);
  context.run();
}

template <class T>
T run(boost::asio::awaitable<T> coroutine) {
  std::optional<T> result;
  run([](boost::asio::awaitable<T> inner, std::optional<T>& out) -> boost::asio::awaitable<void> {
    out.emplace(co_await std::move(inner));
  }(std::move(coroutine), result));
  return std::move(result.value());
}

}  // namespace avseal::test
