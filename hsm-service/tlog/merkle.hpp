// Merkle trees of RFC 6962 section 2.1 (RFC 9162 section 2.1) over SHA-256.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "tokens/digest.hpp"
#include "tokens/result.hpp"

namespace avseal::tlog {

using Hash = tokens::Sha256;

Hash leaf_hash(ByteView entry);                          // SHA-256(0x00 || entry)
Hash node_hash(const Hash& left, const Hash& right);     // SHA-256(0x01 || left || right)
Hash root_of_leaves(std::span<const Hash> leaf_hashes);  // of no leaves: SHA-256("")

// The right edge of a growing tree: the roots of its largest perfect subtrees, left to right.
class Frontier {
 public:
  Frontier() = default;
  // of a tree with `size` leaves; `roots` has one hash for each bit set in size, the largest subtree first.
  static Result<Frontier> of(std::uint64_t size, std::vector<Hash> roots);

  void append(const Hash& leaf);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::vector<Hash>& roots() const { return roots_; }
  [[nodiscard]] Hash root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Hash> roots_;
};

// The root of the perfect subtree over the leaves [index << level, (index + 1) << level).
using NodeReader = std::function<Result<Hash>(unsigned level, std::uint64_t index)>;

// Of the tree of the first `size` leaves of what `nodes` knows. Hashes are in the order of RFC 9162 sections 2.1.3.1
// and 2.1.4.1; none for the empty tree. Errors: those of nodes; "inclusion-wrong", "consistency-wrong" where there can
// be no proof, for index >= size or old_size > size.
Result<Frontier> frontier_at(std::uint64_t size, const NodeReader& nodes);
Result<Hash> root_at(std::uint64_t size, const NodeReader& nodes);
Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size, const NodeReader& nodes);
Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size, const NodeReader& nodes);

// RFC 9162 sections 2.1.3.2 and 2.1.4.2. Reasons "inclusion-wrong" and "consistency-wrong". Every tree is consistent
// with the empty one (no hashes).
Result<void> verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash& leaf, const Hash& root,
                              std::span<const Hash> proof);
Result<void> verify_consistency(std::uint64_t old_size, const Hash& old_root, std::uint64_t size, const Hash& root,
                                std::span<const Hash> proof);

}  // namespace avseal::tlog
