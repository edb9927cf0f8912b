#pragma once

#include <functional>
#include <future>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace avseal::service {

// The thread that watches workers, signals and the service manager's watchdog.
class Control {
 public:
  Control();
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  [[nodiscard]] boost::asio::io_context& context() { return context_; }
  // What SIGHUP does once this returns, on the control thread; before, it does nothing. From another thread.
  void on_reload(std::function<void()> reload);
  void wait_for_signal();  // SIGTERM or SIGINT

 private:
  void await_signal();
  void notify_watchdog();

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer watchdog_;
  std::function<void()> reload_;
  std::promise<void> stop_;
  std::thread thread_;
};

}  // namespace avseal::service
