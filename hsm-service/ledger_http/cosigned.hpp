#pragma once

#include <deque>
#include <mutex>

#include "ledger/ledger.hpp"

namespace avseal::ledger_http {

// The latest checkpoints of the log with what its witnesses signed of them: receipts are made with one that all
// witnesses at hand have signed. It need not be the published one any more when a slow witness has signed it.
// Thread-safe.
class Cosigned {
 public:
  // The witnesses that are at hand; while there are none, nobody waits for any.
  void use(std::vector<tlog::VerifierKey> witnesses);
  // A signature of a witness, for a checkpoint that was published then.
  void add(const ledger::Published& checkpoint, const tlog::NoteSignature& signature);

  [[nodiscard]] bool awaited() const;
  // The largest one with the leaf that they all have signed, its note with their signatures.
  [[nodiscard]] std::optional<ledger::Published> covering(std::string_view origin, std::uint64_t index) const;

 private:
  static constexpr std::size_t max_checkpoints = 64;
  struct Candidate {
    ledger::Published checkpoint;
    tlog::Note note;
  };
  [[nodiscard]] bool all_signed(const tlog::Note& note) const;

  mutable std::mutex mutex_;
  std::vector<tlog::VerifierKey> witnesses_;
  std::deque<Candidate> candidates_;
};

}  // namespace avseal::ledger_http
