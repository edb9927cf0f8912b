// A worker whose module is the fault-injecting one over SoftHSM.
#pragma once

#include "tests/faults/module/functions.hpp"
#include "worker.hpp"

namespace avseal::tokend {

class FaultTest : public WorkerTest {
 protected:
  void SetUp() override;

  // A rule in force from the next call on (tests/faults/module/rules.hpp); clear() ends all.
  void rule(const std::string& text);
  void clear();

  // In all processes so far.
  std::uint64_t calls(faults::Function function) const;
  std::uint64_t returned(faults::Function function, CK_RV code) const;
  std::uint64_t overlaps() const;
  std::uint64_t failed_logins() const;

  // A configuration with these lines, and a profile of these quirks.
  std::filesystem::path config_with(const std::string& lines, const std::string& quirks = {});

  // Signs with key "ledger"; every answer is verified.
  static Result<Bytes> sign(Client& client);
  Result<Bytes> signed_and_verified(Client& client) const;
  // Sends so many at once; gives how many were answered with a signature that verifies.
  int sign_many(Client& client, int count) const;

 private:
  void write_rules() const;
  template <class Count>
  std::uint64_t sum(Count count) const;

  std::vector<std::string> rules_;
  int named_ = 0;
  std::filesystem::path directory_;
};

}  // namespace avseal::tokend
