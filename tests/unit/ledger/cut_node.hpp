// A node's logs on a disk whose power is cut or whose calls fail, and the model of what they must have.
#pragma once

#include "cut_disk.hpp"
#include "ledger/periods.hpp"
#include "publishing_support.hpp"

namespace avseal::ledger::test {

// Heads on the disk: a commit that fails may have been made or not.
class CutHeads final : public HeadStore {
 public:
  explicit CutHeads(CutDisk& disk) : disk_(disk) {}
  Result<std::optional<Head>> head(const std::string& origin) override { return heads_.head(origin); }
  Result<void> replace(const std::optional<Head>& expected, const Head& next) override;

 private:
  CutDisk& disk_;
  MemoryHeads heads_;
};

// One node's logs on one disk, from cut to cut.
class CutNode {
 public:
  explicit CutNode(std::uint64_t seed) : disk_(std::make_shared<CutDisk>(seed)), heads_(*disk_) {}

  // Starts, after a stop or a cut, and compares what is there with what was released.
  Result<void> start();
  void stop();

  // After an error that is for good, it has to be started again.
  Result<void> append(std::uint64_t leaves, std::size_t filler);
  void seal() { log_->seal(); }
  Result<void> publish();
  Result<void> cosign();  // what is published
  Result<void> turn();    // begins the next year's log, or goes on to
  Result<void> act();     // anything of these

  // Once it is started: publishes all that it has, and judges all logs.
  void expect_good();

  [[nodiscard]] CutDisk& disk() { return *disk_; }
  [[nodiscard]] std::size_t signatures() const { return signer_.texts.size(); }
  [[nodiscard]] std::size_t logs() const { return logs_.size(); }

 private:
  struct LogOf {
    std::vector<std::string> released;
    std::uint64_t told = 0;  // size of the last checkpoint that was published
  };

  [[nodiscard]] Config config();
  [[nodiscard]] std::chrono::system_clock::time_point now() const;
  [[nodiscard]] std::filesystem::path directory_of(const std::string& origin) const;
  LogOf& current() { return logs_[periods_->origin()]; }
  void use(Periods::Log log);
  void compare();

  std::shared_ptr<CutDisk> disk_;
  CutHeads heads_;
  SoftSigner signer_;
  BatchBuilder builder_;
  int year_ = 2025;
  std::optional<Periods> periods_;
  std::unique_ptr<SegmentLog> log_;  // none: between two logs
  std::optional<Checkpointer> checkpointer_;
  std::map<std::string, LogOf> logs_;  // by origin
};

}  // namespace avseal::ledger::test
