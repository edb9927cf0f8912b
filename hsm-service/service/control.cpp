#include "service/control.hpp"

#include <csignal>

#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <systemd/sd-daemon.h>

namespace avseal::service {

Control::Control()
    : work_(boost::asio::make_work_guard(context_)), signals_(context_, SIGTERM, SIGINT, SIGHUP), watchdog_(context_) {
  await_signal();
  notify_watchdog();
  thread_ = std::thread([this] { context_.run(); });
}

Control::~Control() {
  context_.stop();
  thread_.join();
}

void Control::on_reload(std::function<void()> reload) {
  boost::asio::post(context_, std::packaged_task<void()>([this, &reload] { reload_ = std::move(reload); })).get();
}

void Control::wait_for_signal() {
  stop_.get_future().wait();
}

void Control::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) return stop_.set_value();
    if (reload_) reload_();
    await_signal();
  });
}

void Control::notify_watchdog() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return;
  sd_notify(0, "WATCHDOG=1");
  watchdog_.expires_after(std::chrono::microseconds(microseconds / 3));
  watchdog_.async_wait([this](const boost::system::error_code& error) {
    if (!error) notify_watchdog();
  });
}

}  // namespace avseal::service
