#include "audit/tile_proofs.hpp"

namespace avseal::audit {

TileProofs::TileProofs(const tlog::Source& source, const tlog::Checkpoint& checkpoint)
    : checkpoint_(checkpoint), nodes_(checkpoint.size, [this, &source](const tlog::TileName& name) {
        auto bytes = source.tile(name);
        if (!bytes && bytes.error().category != Category::not_found) unread_ = bytes.error();
        return bytes;
      }) {}

Result<std::string> TileProofs::continues(const tlog::Checkpoint& old) {
  const bool is_part = old.size != 0 && old.size < checkpoint_.size;
  const auto proof = is_part ? tlog::consistency_proof(old.size, checkpoint_.size, std::ref(nodes_))
                             : Result<std::vector<tlog::Hash>>(std::vector<tlog::Hash>());
  return judge(proof ? tlog::verify_consistency(old.size, old.root, checkpoint_.size, checkpoint_.root, *proof)
                     : Result<void>(proof.error()));
}

Result<std::string> TileProofs::has(std::uint64_t index, const tlog::Hash& leaf) {
  const auto proof = tlog::inclusion_proof(index, checkpoint_.size, std::ref(nodes_));
  return judge(proof ? tlog::verify_inclusion(index, checkpoint_.size, leaf, checkpoint_.root, *proof)
                     : Result<void>(proof.error()));
}

Result<std::string> TileProofs::judge(const Result<void>& holds) const {
  if (unread_) return *unread_;
  return holds ? std::string() : holds.error().detail;
}

}  // namespace avseal::audit
