// The head of a log, as it is remembered outside the log's directory.
#pragma once

#include <optional>
#include <string>

#include "tlog/merkle.hpp"

namespace avseal::ledger {

// The last checkpoint that was signed for a log.
struct Head {
  std::string origin;  // of the log: "<operator>/<node>/<year>"
  std::uint64_t size = 0;
  tlog::Hash root{};
  std::string note;  // the checkpoint with its signatures
  std::string uses;  // of the ledger key, which no leaf tells yet (CheckpointUses)
  friend bool operator==(const Head&, const Head&) = default;
};

// Where the head is remembered; kept by the store. Calls block: they are made on threads that may wait. A checkpoint
// counts as given out once replace() was begun, so this is what keeps a log from ever having two that disagree.
class HeadStore {
 public:
  virtual ~HeadStore() = default;
  virtual Result<std::optional<Head>> head(const std::string& origin) = 0;
  // Compare and swap: on disk when it returns. Error "ledger-head": what is remembered is not `expected` (empty: none).
  // After any other error it is not known which of the two is remembered.
  virtual Result<void> replace(const std::optional<Head>& expected, const Head& next) = 0;
};

}  // namespace avseal::ledger
