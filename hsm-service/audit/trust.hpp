#pragma once

#include <chrono>

#include "tlog/checkpoint.hpp"
#include "tlog/policy.hpp"
#include "tlog/source.hpp"

namespace avseal::audit {

// Whom an auditor believes: the keys of logs, or a policy that wants witnesses too. A key for one period of a log
// ("<origin>/2026") stands for its other periods.
class Trust {
 public:
  static Trust of_keys(std::vector<tlog::VerifierKey> keys);
  static Trust of_policy(tlog::Policy policy);

  // The checkpoint of a note, signed as it has to be. Reasons "note-malformed", "checkpoint-malformed",
  // "note-signature-missing", "note-signature-wrong", "quorum-missed".
  [[nodiscard]] Result<tlog::Checkpoint> check(const tlog::Note& note) const;
  [[nodiscard]] Result<tlog::Checkpoint> check(std::string_view note) const;
  // Of an earlier period, whose last checkpoint its successor names: the witnesses of that one stand for it.
  [[nodiscard]] Result<tlog::Checkpoint> check_closed(std::string_view note) const;
  // The note of the checkpoint of a log, which may be growing: read again for so long as only its witnesses are
  // missing, for they sign a moment after the log.
  [[nodiscard]] Result<std::string> read(const tlog::Source& source, std::chrono::milliseconds patience) const;
  [[nodiscard]] std::vector<tlog::VerifierKey> keys_of(const std::string& origin) const;

 private:
  explicit Trust(tlog::Policy policy) : policy_(std::move(policy)) {}
  tlog::Policy policy_;
};

// Of a log that signs with ECDSA. Reason "vkey-malformed": it is of another kind.
Result<tokens::PublicKey> public_key_of(const tlog::VerifierKey& key);

}  // namespace avseal::audit
