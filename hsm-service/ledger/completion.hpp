#pragma once

#include <future>
#include <memory>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace avseal::ledger {

// Resumes one suspended coroutine with a T, from any thread, on the coroutine's own executor. Move-only; must be called
// exactly once, while that executor's context lives.
template <class T>
class Completion {
 public:
  Completion() noexcept = default;
  template <class Handler>
  requires(!std::is_same_v<Handler, Completion>) explicit Completion(Handler handler)
      : waiter_(std::make_unique<WaiterOf<Handler>>(std::move(handler))) {}

  // For a plain thread that waits.
  static Completion to(std::promise<T> promise) {
    Completion completion;
    completion.waiter_ = std::make_unique<PromiseWaiter>(std::move(promise));
    return completion;
  }

  explicit operator bool() const noexcept { return waiter_ != nullptr; }
  void operator()(T value) { std::exchange(waiter_, nullptr)->resume(std::move(value)); }

 private:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void resume(T value) = 0;
  };

  template <class Handler>
  struct WaiterOf final : Waiter {
    explicit WaiterOf(Handler h) : handler(std::move(h)), work(boost::asio::get_associated_executor(handler)) {}
    void resume(T value) override {
      boost::asio::post(work.get_executor(),
                        [h = std::move(handler), v = std::move(value)]() mutable { std::move(h)(std::move(v)); });
    }
    Handler handler;
    boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>> work;
  };

  struct PromiseWaiter final : Waiter {
    explicit PromiseWaiter(std::promise<T> p) : promise(std::move(p)) {}
    void resume(T value) override { promise.set_value(std::move(value)); }
    std::promise<T> promise;
  };

  std::unique_ptr<Waiter> waiter_;
};

// Suspends the coroutine, calls start(Completion<T>) at once, and gives the T that the completion is called with.
template <class T, class Start>
boost::asio::awaitable<T> suspend(Start start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      [](auto handler, Start begin) { begin(Completion<T>(std::move(handler))); }, boost::asio::use_awaitable,
      std::move(start));
}

}  // namespace avseal::ledger
