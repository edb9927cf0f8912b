#pragma once

#include <cstdlib>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include "../support/run.hpp"
#include "../support/temp_dir.hpp"
#include "service/own_leaves.hpp"

namespace avseal::service::test {

using avseal::test::run;
using avseal::test::TempDir;

class WithLedger : public ::testing::Test {
 protected:
  void SetUp() override {
    ledger::Config config;
    config.directory = directory.path() / "ledger";
    config.origin = "a.example/test";
    config.reserve_bytes = 1;
    config.files = disk;
    auto opened = ledger::Ledger::open(config, system_clock_now, metrics);
    ASSERT_TRUE(opened) << opened.error().detail;
    ledger = std::move(*opened);
    own_leaves.emplace(*ledger, background.get_executor(), metrics);
  }
  void TearDown() override {
    own_leaves.reset();
    ledger->close();
  }
  // Without the first, "ledger.start".
  [[nodiscard]] std::vector<std::string> leaves() const {
    auto all = ledger::read_leaves(directory.path() / "ledger").value();
    all.erase(all.begin());
    return all;
  }

  // Whose space is all taken while the test says so.
  struct Disk : ledger::FileOps {
    std::optional<std::uint64_t> free_bytes(const std::filesystem::path& path) override {
      return full ? 0 : FileOps::free_bytes(path);
    }
    std::atomic<bool> full{false};
  };

  std::shared_ptr<Disk> disk = std::make_shared<Disk>();
  boost::asio::thread_pool background{1};
  TempDir directory;
  prometheus::Registry metrics;
  std::shared_ptr<ledger::Ledger> ledger;
  std::optional<OwnLeaves> own_leaves;
};

}  // namespace avseal::service::test
