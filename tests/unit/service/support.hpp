#pragma once

#include <cstdlib>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "../support/run.hpp"
#include "../support/temp_dir.hpp"
#include "ledger/ledger.hpp"

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

  TempDir directory;
  prometheus::Registry metrics;
  std::shared_ptr<ledger::Ledger> ledger;
};

}  // namespace avseal::service::test
