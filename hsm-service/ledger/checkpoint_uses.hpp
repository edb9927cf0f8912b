#pragma once

#include <map>
#include <tuple>

#include "ledger/event.hpp"

namespace avseal::ledger {

// Which sequences of the ledger keys went into checkpoints. A checkpoint has no leaf, for the tree would grow by its
// own signing; so these are told now and then by a leaf "ledger.checkpoints", or by "ledger.start" and "ledger.stop":
//   details.uses = [{"key":"ledger","kid":"..","sequences":[[first,last],..],"worker":".."},..]
// A start may tell again what was told before it.
class CheckpointUses {
 public:
  // Only what text() gives. Reason "ledger-head".
  static Result<CheckpointUses> parse(std::string_view text);

  void add(const KeyUse& use);
  [[nodiscard]] bool empty() const { return runs_.empty(); }
  [[nodiscard]] std::size_t runs() const;
  [[nodiscard]] boost::json::array json() const;
  [[nodiscard]] std::string text() const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // worker, key, kid
  struct Run {
    std::uint64_t first;
    std::uint64_t last;
  };
  std::map<Key, std::vector<Run>> runs_;
};

}  // namespace avseal::ledger
