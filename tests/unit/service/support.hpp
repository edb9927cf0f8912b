#pragma once

#include <cstdlib>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "ledger/ledger.hpp"

namespace avseal::service::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = "/tmp/avseal-service-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Runs one coroutine to its end on a context of its own.
template <class T>
T run(boost::asio::awaitable<T> coroutine) {
  boost::asio::io_context context;
  std::optional<T> result;
  boost::asio::co_spawn(
      context,
      [](boost::asio::awaitable<T> inner, std::optional<T>& out) -> boost::asio::awaitable<void> {
        out.emplace(co_await std::move(inner));
      }(std::move(coroutine), result),
      boost::asio::detached);
  context.run();
  return std::move(result.value());
}

class WithLedger : public ::testing::Test {
 protected:
  void SetUp() override {
    ledger::Config config;
    config.directory = directory.path() / "ledger";
    config.origin = "a.example/test";
    config.reserve_bytes = 1;
    auto opened = ledger::Ledger::open(config, system_clock_now, metrics);
    ASSERT_TRUE(opened) << opened.error().detail;
    ledger = std::move(*opened);
  }
  void TearDown() override { ledger->close(); }
  // Without the first, "ledger.start".
  [[nodiscard]] std::vector<std::string> leaves() const {
    auto all = ledger::read_leaves(directory.path() / "ledger").value();
    all.erase(all.begin());
    return all;
  }

  TemporaryDirectory directory;
  prometheus::Registry metrics;
  std::shared_ptr<ledger::Ledger> ledger;
};

}  // namespace avseal::service::test
