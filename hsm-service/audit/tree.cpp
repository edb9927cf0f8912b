#include "audit/tree.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "audit/rules.hpp"

namespace avseal::audit {

namespace {

using tlog::Hash;
using tlog::tile_width;

std::string path_of(unsigned level, std::uint64_t index, std::uint64_t size) {
  return tlog::path_of(tlog::tile_at(level, index * tile_width, size));
}

// The roots of the perfect subtrees that a part of a tile begins with, the largest first.
void add_roots(std::span<const Hash> hashes, std::vector<Hash>& roots) {
  while (!hashes.empty()) {
    const auto count = std::bit_floor(hashes.size());
    roots.push_back(tlog::root_of_leaves(hashes.first(count)));
    hashes = hashes.subspan(count);
  }
}

}  // namespace

Result<Tree> Tree::begin(const tlog::Source& source, const tlog::Checkpoint& checkpoint, std::uint64_t first,
                         Verdict& verdict) {
  Tree tree(source, checkpoint, verdict);
  tree.last_start_ = first * tile_width;
  AVSEAL_CHECK(tree.load_left(first));
  return tree;
}

Result<void> Tree::load_left(std::uint64_t first) {
  for (unsigned level = 1; first != 0; ++level, first /= tile_width) {
    auto& to = levels_.emplace_back();
    to.tile = first / tile_width;
    const auto count = static_cast<unsigned>(first % tile_width);
    if (count == 0) continue;
    const auto name = tlog::tile_at(level, to.tile * tile_width, size_);
    AVSEAL_TRY(const auto bytes, source_->tile(name));
    AVSEAL_TRY(to.hashes, tlog::read_tile(bytes, name.width));
    to.hashes.resize(count);
  }
  return {};
}

void Tree::take(Bundle bundle) {
  close_last();
  last_start_ = bundle.index * tile_width;
  choose(bundle);
  last_ = std::move(bundle.entries);
}

// Leaves in bundle.entries the hashes to go on with.
void Tree::choose(Bundle& bundle) {
  const bool full = bundle.width == tile_width;
  whole_.reset();
  if (bundle.entries == bundle.tile && !bundle.entries.empty()) {
    if (full) whole_ = bundle.root;
    return;
  }
  const auto above = full ? parent(bundle.index) : std::nullopt;
  const auto tile_root = full && !bundle.tile.empty() ? std::optional(tlog::root_of_leaves(bundle.tile)) : std::nullopt;
  if (bundle.entries.empty() && bundle.tile.empty()) {
    whole_ = above;
    complete_ = complete_ && above.has_value();
  } else if (bundle.entries.empty()) {
    bundle.entries = std::move(bundle.tile);
    whole_ = tile_root;
  } else {
    if (full) whole_ = bundle.root;
    if (!bundle.tile.empty()) settle(bundle, tile_root, above);
  }
}

// Where entries and tile differ, the tile above tells which of them was altered, and for the last ones the signed root.
void Tree::settle(Bundle& bundle, const std::optional<Hash>& tile_root, const std::optional<Hash>& above) {
  const bool full = bundle.width == tile_width;
  const bool tile_is_good = full ? above && above == tile_root : root_with(bundle.tile) == signed_root_;
  const bool entries_are_good = full ? above == bundle.root : root_with(bundle.entries) == signed_root_;
  if (!entries_are_good) report_entries(bundle);
  if (!tile_is_good) report_tile(bundle);
  if (!tile_is_good) return;
  bundle.entries = std::move(bundle.tile);
  whole_ = tile_root;
}

void Tree::report_entries(const Bundle& bundle) {
  for (std::size_t i = 0; i < bundle.entries.size(); ++i) {
    if (bundle.entries[i] == bundle.tile[i]) continue;
    verdict_->broken(rules::entry_differs, fmt::format("leaf {}", bundle.index * tile_width + i),
                     fmt::format("{} has another entry than {} has the hash of",
                                 tlog::path_of({std::nullopt, bundle.index, bundle.width}),
                                 tlog::path_of({0, bundle.index, bundle.width})));
  }
}

void Tree::report_tile(const Bundle& bundle) {
  const auto differs = std::mismatch(bundle.entries.begin(), bundle.entries.end(), bundle.tile.begin()).first;
  verdict_->broken(
      rules::tile_differs, tlog::path_of({0, bundle.index, bundle.width}),
      fmt::format("its hash of leaf {} is not that of the entry",
                  bundle.index * tile_width + static_cast<std::uint64_t>(differs - bundle.entries.begin())));
}

std::optional<Hash> Tree::parent(std::uint64_t bundle) const {
  const auto name = tlog::tile_at(1, bundle, size_);
  const auto bytes = source_->tile(name);
  if (!bytes) return std::nullopt;
  const auto hashes = tlog::read_tile(*bytes, name.width);
  return hashes ? std::optional((*hashes)[bundle % tile_width]) : std::nullopt;
}

void Tree::close_last() {
  if (whole_) push(1, *whole_);
  whole_.reset();
  last_.clear();
}

void Tree::push(unsigned level, const Hash& hash) {
  if (levels_.size() < level) levels_.emplace_back();
  auto& to = levels_[level - 1];
  to.hashes.push_back(hash);
  if (to.hashes.size() < tile_width) return;
  compare(level, to);
  const auto root = tlog::root_of_leaves(to.hashes);
  to.hashes.clear();
  ++to.tile;
  push(level + 1, root);
}

void Tree::compare(unsigned level, const Level& with) {
  const auto name = tlog::tile_at(level, with.tile * tile_width, size_);
  const auto path = path_of(level, with.tile, size_);
  const auto bytes = source_->tile(name);
  if (!bytes) {
    return verdict_->broken(rules::tile_missing, path, bytes.error().detail);
  }
  const auto hashes = tlog::read_tile(*bytes, name.width);
  if (!hashes) return verdict_->broken(rules::tile_differs, path, hashes.error().detail);
  const auto differs = std::mismatch(with.hashes.begin(), with.hashes.end(), hashes->begin(), hashes->end()).first;
  if (differs == with.hashes.end()) return;
  verdict_->broken(rules::tile_differs, path,
                   fmt::format("its hash {} is not that of the tile below it", differs - with.hashes.begin()));
}

void Tree::finish() {
  close_last();
  for (unsigned level = 1; level <= levels_.size(); ++level) {
    if (!levels_[level - 1].hashes.empty()) compare(level, levels_[level - 1]);
  }
  last_start_ = size_;
}

std::optional<Hash> Tree::root(std::uint64_t size) const {
  const auto rest = size - last_start_;
  if (rest > last_.size()) return std::nullopt;
  return root_with(std::span(last_).first(rest));
}

std::optional<Hash> Tree::root_with(std::span<const Hash> last) const {
  std::vector<Hash> roots;
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) add_roots(level->hashes, roots);
  auto frontier = tlog::Frontier::of(last_start_, std::move(roots));
  if (!complete_ || !frontier) return std::nullopt;
  for (const auto& leaf : last) frontier->append(leaf);
  return frontier->root();
}

}  // namespace avseal::audit
