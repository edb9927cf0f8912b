#pragma once

#include "ledger/ledger.hpp"
#include "service/node.hpp"

namespace avseal::service {

// Has the ledger's checkpoints signed by the keyring of one io thread, for as long as this lives: shorter than both.
class CheckpointSigning final : public ledger::CheckpointSigner {
 public:
  CheckpointSigning(ledger::Ledger& ledger, Node& node) : ledger_(ledger), node_(node) { ledger_.use_signer(this); }
  CheckpointSigning(const CheckpointSigning&) = delete;
  CheckpointSigning& operator=(const CheckpointSigning&) = delete;
  ~CheckpointSigning() override { ledger_.use_signer(nullptr); }

  Result<std::vector<ledger::CheckpointSignature>> sign(const ledger::CheckpointPermit& permit,
                                                        const std::string& text) override;

 private:
  ledger::Ledger& ledger_;
  Node& node_;
};

}  // namespace avseal::service
