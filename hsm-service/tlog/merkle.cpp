#include "tlog/merkle.hpp"

#include <bit>

#include "tlog/errors.hpp"

namespace avseal::tlog {

namespace {

constexpr std::array<std::uint8_t, 1> leaf_prefix{0x00};
constexpr std::array<std::uint8_t, 1> node_prefix{0x01};

constexpr const char* index_too_large = "the index is not below the size of the tree";
constexpr const char* older_is_larger = "the older tree is the larger one";

tokens::Sha256Stream& stream() {
  thread_local tokens::Sha256Stream one;
  return one;
}

// The root of the leaves [start, end) of a tree; start is a multiple of the largest power of two below end - start.
Result<Hash> root_of(std::uint64_t start, std::uint64_t end, const NodeReader& nodes) {
  const auto count = end - start;
  if (std::has_single_bit(count)) {
    const auto level = static_cast<unsigned>(std::countr_zero(count));
    return nodes(level, start >> level);
  }
  const auto split = start + std::bit_floor(count);
  AVSEAL_TRY(const Hash left, root_of(start, split, nodes));
  AVSEAL_TRY(const Hash right, root_of(split, end, nodes));
  return node_hash(left, right);
}

// Of a subtree whose leaf count is not 1, where it divides: the largest power of two below its size.
std::uint64_t split_of(std::uint64_t count) {
  return std::bit_floor(count - 1);
}

Error inclusion_wrong(std::string detail) {
  return errors::wrong("inclusion-wrong", std::move(detail));
}

Error consistency_wrong(std::string detail) {
  return errors::wrong("consistency-wrong", std::move(detail));
}

}  // namespace

Hash leaf_hash(ByteView entry) {
  stream().update(leaf_prefix);
  stream().update(entry);
  return stream().finish();
}

Hash node_hash(const Hash& left, const Hash& right) {
  stream().update(node_prefix);
  stream().update(left);
  stream().update(right);
  return stream().finish();
}

Hash root_of_leaves(std::span<const Hash> leaf_hashes) {
  Frontier frontier;
  for (const auto& leaf : leaf_hashes) frontier.append(leaf);
  return frontier.root();
}

Result<Frontier> Frontier::of(std::uint64_t size, std::vector<Hash> roots) {
  if (roots.size() != static_cast<std::size_t>(std::popcount(size))) {
    return errors::wrong("consistency-wrong", "not as many subtrees as a tree of that size has");
  }
  Frontier frontier;
  frontier.size_ = size;
  frontier.roots_ = std::move(roots);
  return frontier;
}

void Frontier::append(const Hash& leaf) {
  Hash hash = leaf;
  for (auto full = size_; (full & 1U) != 0; full >>= 1U) {
    hash = node_hash(roots_.back(), hash);
    roots_.pop_back();
  }
  roots_.push_back(hash);
  ++size_;
}

Hash Frontier::root() const {
  if (roots_.empty()) return tokens::sha256({});
  Hash hash = roots_.back();
  for (auto next = roots_.rbegin() + 1; next != roots_.rend(); ++next) hash = node_hash(*next, hash);
  return hash;
}

Result<Frontier> frontier_at(std::uint64_t size, const NodeReader& nodes) {
  std::vector<Hash> roots;
  std::uint64_t start = 0;
  while (start < size) {
    const auto count = std::bit_floor(size - start);
    AVSEAL_TRY(const Hash root, root_of(start, start + count, nodes));
    roots.push_back(root);
    start += count;
  }
  return Frontier::of(size, std::move(roots));
}

Result<Hash> root_at(std::uint64_t size, const NodeReader& nodes) {
  AVSEAL_TRY(const Frontier frontier, frontier_at(size, nodes));
  return frontier.root();
}

Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size, const NodeReader& nodes) {
  if (index >= size) return inclusion_wrong(index_too_large);
  std::vector<Hash> proof;
  std::uint64_t start = 0;
  std::uint64_t end = size;
  while (end - start > 1) {  // from the root down; the proof is from the leaf up
    const auto split = start + split_of(end - start);
    const bool right = index >= split;
    AVSEAL_TRY(const Hash sibling, right ? root_of(start, split, nodes) : root_of(split, end, nodes));
    proof.insert(proof.begin(), sibling);
    (right ? start : end) = split;
  }
  return proof;
}

Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size, const NodeReader& nodes) {
  if (old_size > size) return consistency_wrong(older_is_larger);
  if (old_size == 0) return std::vector<Hash>();
  std::vector<Hash> proof;
  std::uint64_t start = 0;
  std::uint64_t end = size;
  bool whole = true;  // the old tree is all of [start, old_size) and known to the verifier
  while (old_size != end) {
    const auto split = start + split_of(end - start);
    const bool right = old_size > split;
    AVSEAL_TRY(const Hash sibling, right ? root_of(start, split, nodes) : root_of(split, end, nodes));
    proof.insert(proof.begin(), sibling);
    (right ? start : end) = split;
    whole = whole && !right;
  }
  if (!whole) {
    AVSEAL_TRY(const Hash last, root_of(start, end, nodes));
    proof.insert(proof.begin(), last);
  }
  return proof;
}

Result<void> verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash& leaf, const Hash& root,
                              std::span<const Hash> proof) {
  if (index >= size) return inclusion_wrong(index_too_large);
  auto node = index;
  auto last = size - 1;
  Hash hash = leaf;
  for (const auto& sibling : proof) {
    if (last == 0) return inclusion_wrong("more hashes than the tree is high");
    if ((node & 1U) != 0 || node == last) {
      hash = node_hash(sibling, hash);
      while ((node & 1U) == 0 && node != 0) {
        node >>= 1U;
        last >>= 1U;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1U;
    last >>= 1U;
  }
  if (last != 0) return inclusion_wrong("fewer hashes than the way to the root has");
  if (hash != root) return inclusion_wrong("the hashes lead to another root");
  return {};
}

Result<void> verify_consistency(std::uint64_t old_size, const Hash& old_root, std::uint64_t size, const Hash& root,
                                std::span<const Hash> proof) {
  if (old_size > size) return consistency_wrong(older_is_larger);
  if (old_size == 0 || old_size == size) {
    if (!proof.empty()) return consistency_wrong("expected no hashes");
    const Hash expected = old_size == 0 ? tokens::sha256({}) : root;
    if (old_root != expected) return consistency_wrong("two roots for one size");
    return {};
  }
  auto node = old_size - 1;
  auto last = size - 1;
  while ((node & 1U) != 0) {
    node >>= 1U;
    last >>= 1U;
  }
  if (node != 0 && proof.empty()) return consistency_wrong("expected a proof, found none");
  Hash old_hash = node == 0 ? old_root : proof.front();
  Hash new_hash = old_hash;
  for (const auto& sibling : node == 0 ? proof : proof.subspan(1)) {
    if (last == 0) return consistency_wrong("more hashes than the tree is high");
    if ((node & 1U) != 0 || node == last) {
      old_hash = node_hash(sibling, old_hash);
      new_hash = node_hash(sibling, new_hash);
      while ((node & 1U) == 0 && node != 0) {
        node >>= 1U;
        last >>= 1U;
      }
    } else {
      new_hash = node_hash(new_hash, sibling);
    }
    node >>= 1U;
    last >>= 1U;
  }
  if (last != 0) return consistency_wrong("fewer hashes than the way to the root has");
  if (old_hash != old_root) return consistency_wrong("the hashes do not lead to the older root");
  if (new_hash != root) return consistency_wrong("the hashes do not lead to the newer root");
  return {};
}

}  // namespace avseal::tlog
