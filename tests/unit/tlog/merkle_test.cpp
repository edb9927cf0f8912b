#include "tlog/merkle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tlog/tile.hpp"
#include "tokens/base64.hpp"

namespace avseal::tlog {
namespace {

// The recursive definitions of RFC 6962 section 2.1, as they stand there.
Hash mth(std::span<const Hash> leaves) {
  if (leaves.empty()) return tokens::sha256({});
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (2 * k < leaves.size()) k *= 2;
  return node_hash(mth(leaves.first(k)), mth(leaves.subspan(k)));
}

std::vector<Hash> path(std::size_t m, std::span<const Hash> leaves) {
  if (leaves.size() <= 1) return {};
  std::size_t k = 1;
  while (2 * k < leaves.size()) k *= 2;
  auto proof = m < k ? path(m, leaves.first(k)) : path(m - k, leaves.subspan(k));
  proof.push_back(m < k ? mth(leaves.subspan(k)) : mth(leaves.first(k)));
  return proof;
}

std::vector<Hash> subproof(std::size_t m, std::span<const Hash> leaves, bool whole) {
  if (m == leaves.size()) return whole ? std::vector<Hash>() : std::vector<Hash>{mth(leaves)};
  std::size_t k = 1;
  while (2 * k < leaves.size()) k *= 2;
  auto proof = m <= k ? subproof(m, leaves.first(k), whole) : subproof(m - k, leaves.subspan(k), false);
  proof.push_back(m <= k ? mth(leaves.subspan(k)) : mth(leaves.first(k)));
  return proof;
}

std::vector<Hash> some_leaves(std::size_t count) {
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(as_bytes(std::to_string(i))));
  return leaves;
}

NodeReader nodes_of(std::span<const Hash> leaves) {
  return [leaves](unsigned level, std::uint64_t index) -> Result<Hash> {
    return mth(leaves.subspan(index << level, std::size_t{1} << level));
  };
}

std::string hex(const Hash& hash) {
  return tokens::hex_encode(hash);
}

// Known answers of RFC 6962's reference implementation.
TEST(Merkle, HashesAreThoseOfRfc6962) {
  EXPECT_EQ(hex(root_of_leaves({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(leaf_hash({})), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  std::vector<Hash> leaves;
  for (const std::string_view entry :
       {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}) {
    leaves.push_back(leaf_hash(*tokens::hex_decode(entry)));
  }
  EXPECT_EQ(hex(root_of_leaves(std::span(leaves).first(2))),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
  EXPECT_EQ(hex(root_of_leaves(leaves)), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

TEST(Merkle, ProofsAreThoseOfTheDefinitionAndHold) {
  constexpr std::size_t most = 70;
  const auto leaves = some_leaves(most);
  for (std::size_t size = 1; size <= most; ++size) {
    const std::span<const Hash> tree = std::span(leaves).first(size);
    const auto nodes = nodes_of(tree);
    const Hash root = mth(tree);
    EXPECT_EQ(root_of_leaves(tree), root);
    EXPECT_EQ(root_at(size, nodes).value(), root);
    for (std::size_t i = 0; i < size; ++i) {
      const auto proof = inclusion_proof(i, size, nodes).value();
      ASSERT_EQ(proof, path(i, tree)) << i << " of " << size;
      ASSERT_TRUE(verify_inclusion(i, size, tree[i], root, proof)) << i << " of " << size;
    }
    for (std::size_t old = 1; old <= size; ++old) {
      const auto proof = consistency_proof(old, size, nodes).value();
      ASSERT_EQ(proof, subproof(old, tree, true)) << old << " to " << size;
      ASSERT_TRUE(verify_consistency(old, mth(tree.first(old)), size, root, proof)) << old << " to " << size;
    }
  }
}

// Every single change to what is proven, or to the proof, is seen.
TEST(Merkle, NoChangedInclusionProofHolds) {
  const auto leaves = some_leaves(13);
  const auto nodes = nodes_of(leaves);
  const Hash root = mth(leaves);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto proof = inclusion_proof(i, 13, nodes).value();
    for (std::size_t other = 0; other <= 13; ++other) {
      EXPECT_EQ(verify_inclusion(other, 13, leaves[i], root, proof).has_value(), other == i);
    }
    EXPECT_FALSE(verify_inclusion(i, 13, leaves[(i + 1) % 13], root, proof));
    EXPECT_FALSE(verify_inclusion(i, 13, leaves[i], leaves[0], proof));
    auto longer = proof;
    longer.push_back(root);
    EXPECT_FALSE(verify_inclusion(i, 13, leaves[i], root, longer));
    EXPECT_FALSE(verify_inclusion(i, 13, leaves[i], root, std::span(proof).first(proof.size() - 1)));
    for (auto& hash : longer) {
      auto changed = proof;
      changed[static_cast<std::size_t>(&hash - longer.data()) % proof.size()][7] ^= 1U;
      EXPECT_FALSE(verify_inclusion(i, 13, leaves[i], root, changed));
    }
  }
}

TEST(Merkle, NoChangedConsistencyProofHolds) {
  const auto leaves = some_leaves(13);
  const auto nodes = nodes_of(leaves);
  const Hash root = mth(leaves);
  for (std::size_t old = 1; old <= 13; ++old) {
    const Hash old_root = mth(std::span(leaves).first(old));
    const auto proof = consistency_proof(old, 13, nodes).value();
    EXPECT_FALSE(verify_consistency(old, leaves[12], 13, root, proof)) << old;
    EXPECT_FALSE(verify_consistency(old, old_root, 13, leaves[12], proof)) << old;
    EXPECT_FALSE(verify_consistency(14, old_root, 13, root, proof));
    auto longer = proof;
    longer.push_back(root);
    EXPECT_FALSE(verify_consistency(old, old_root, 13, root, longer)) << old;
    for (std::size_t i = 0; i < proof.size(); ++i) {
      auto changed = proof;
      changed[i][31] ^= 0x80U;
      EXPECT_FALSE(verify_consistency(old, old_root, 13, root, changed)) << old;
    }
    if (!proof.empty()) {
      EXPECT_FALSE(verify_consistency(old, old_root, 13, root, std::span(proof).first(proof.size() - 1)));
      EXPECT_FALSE(verify_consistency(old, old_root, 13, root, {}));
    }
  }
  EXPECT_TRUE(verify_consistency(0, root_of_leaves({}), 13, root, {}));
  EXPECT_FALSE(verify_consistency(0, leaves[0], 13, root, {}));
  EXPECT_FALSE(verify_consistency(13, leaves[0], 13, root, {}));
}

TEST(Merkle, SaysThatThereIsNoProof) {
  const auto leaves = some_leaves(13);
  const auto nodes = nodes_of(leaves);
  for (const std::uint64_t old : {14, 16, 17, 1000}) {
    EXPECT_EQ(consistency_proof(old, 13, nodes).error().reason, "consistency-wrong") << old;
  }
  EXPECT_THAT(consistency_proof(0, 13, nodes).value(), ::testing::IsEmpty());
  EXPECT_EQ(inclusion_proof(13, 13, nodes).error().reason, "inclusion-wrong");
  EXPECT_EQ(inclusion_proof(0, 0, nodes).error().reason, "inclusion-wrong");
}

TEST(Merkle, AFrontierGoesOnFromItsRoots) {
  const auto leaves = some_leaves(300);
  Frontier grown;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    auto again = Frontier::of(grown.size(), grown.roots());
    ASSERT_TRUE(again);
    again->append(leaves[i]);
    grown.append(leaves[i]);
    ASSERT_EQ(again->root(), grown.root());
    ASSERT_EQ(frontier_at(i + 1, nodes_of(leaves))->roots(), grown.roots());
  }
  EXPECT_FALSE(Frontier::of(3, {leaves[0]}));
}

}  // namespace
}  // namespace avseal::tlog
