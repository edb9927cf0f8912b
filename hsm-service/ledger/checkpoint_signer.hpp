#pragma once

#include <vector>

#include "ledger/slot.hpp"
#include "tokens/public_key.hpp"

namespace avseal::ledger {

struct CheckpointSignature {
  tokens::PublicKey key;
  Bytes raw;                 // r || s over SHA-256(text)
  std::vector<KeyUse> uses;  // this signature, and those that were discarded on the way
};

// Has the text of a checkpoint signed in the HSM.
class CheckpointSigner {
 public:
  virtual ~CheckpointSigner() = default;
  // Blocks the log's own thread, for a bounded time. One signature of each ledger key that signs: of the active one,
  // and of those that it replaced for as long as their overlap lasts and they can. At least one, or why not.
  virtual Result<std::vector<CheckpointSignature>> sign(const CheckpointPermit& permit, const std::string& text) = 0;
};

}  // namespace avseal::ledger
