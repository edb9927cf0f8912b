#include "ledger/tree_edge.hpp"

#include "ledger/errors.hpp"

namespace avseal::ledger {

namespace {

using tlog::TileName;

Result<Bytes> read_partial(const tlog::Source& source, const TileName& name) {
  auto bytes = source.tile(name);
  if (!bytes) return errors::head(bytes.error().detail);
  return bytes;
}

Error unusable(const tlog::Source& source, const TileName& name, std::string_view found) {
  return errors::head(
      fmt::format("{}: {}; the file was altered: restore it from a copy", source.describe(tlog::path_of(name)), found));
}

// Whether the partial tile of `level` has the same name at both sizes.
bool same_partial(unsigned level, std::uint64_t a, std::uint64_t b) {
  return tlog::full_tiles(level, a) == tlog::full_tiles(level, b) &&
         tlog::partial_width(level, a) == tlog::partial_width(level, b);
}

}  // namespace

Result<TreeEdge> TreeEdge::read(const tlog::Source& source, std::uint64_t size) {
  TreeEdge edge;
  edge.size_ = edge.taken_ = size;
  for (unsigned level = 0; size >> (level * tlog::tile_height) != 0; ++level) {
    auto& hashes = edge.levels_.emplace_back();
    const TileName name{level, tlog::full_tiles(level, size), tlog::partial_width(level, size)};
    if (name.width == 0) continue;
    AVSEAL_TRY(const auto bytes, read_partial(source, name));
    auto read = tlog::read_tile(bytes, name.width);
    if (!read) return unusable(source, name, read.error().detail);
    hashes = std::move(*read);
  }
  const TileName bundle{std::nullopt, tlog::full_tiles(0, size), tlog::partial_width(0, size)};
  if (bundle.width == 0) return edge;
  AVSEAL_TRY(edge.bundle_, read_partial(source, bundle));
  const auto entries = tlog::read_bundle(edge.bundle_, bundle.width);
  if (!entries) return unusable(source, bundle, entries.error().detail);
  for (unsigned i = 0; i < bundle.width; ++i) {
    if (tlog::leaf_hash((*entries)[i]) != edge.levels_[0][i]) {
      return unusable(source, bundle, fmt::format("entry {} does not match its hash in the tile of level 0", i));
    }
  }
  return edge;
}

void TreeEdge::append(ByteView leaf, const tlog::Hash& hash) {
  const auto index = size_++;
  tlog::append_entry(bundle_, leaf);
  tlog::Hash node = hash;
  for (unsigned level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    auto& hashes = levels_[level];
    hashes.push_back(node);
    if (hashes.size() < tlog::tile_width) return;
    const auto tile = index >> ((level + 1) * tlog::tile_height);
    if (level == 0) {
      bytes_ += bundle_.size();
      full_.push_back({tlog::path_of({std::nullopt, tile}), std::move(bundle_)});
      bundle_.clear();
    }
    full_.push_back({tlog::path_of({level, tile}), tlog::tile_bytes(hashes)});
    bytes_ += full_.back().bytes.size();
    node = tlog::root_of_leaves(hashes);
    hashes.clear();
  }
}

// The partial tiles hold, from the highest level down, the perfect subtrees that make up the tree, left to right.
tlog::Hash TreeEdge::root() const {
  std::optional<tlog::Hash> right;
  for (auto nodes : levels_) {
    if (nodes.empty()) continue;
    if (right) nodes.push_back(*right);
    right = tlog::root_of_leaves(nodes);
  }
  return right.value_or(tlog::root_of_leaves({}));
}

std::vector<LogFile> TreeEdge::take_files() {
  auto files = std::exchange(full_, {});
  const auto width = tlog::partial_width(0, size_);
  if (width != 0 && !same_partial(0, taken_, size_)) {
    files.push_back({tlog::path_of({std::nullopt, tlog::full_tiles(0, size_), width}), bundle_});
  }
  for (unsigned level = 0; level < levels_.size(); ++level) {
    if (levels_[level].empty() || same_partial(level, taken_, size_)) continue;
    files.push_back({tlog::path_of({level, tlog::full_tiles(level, size_), tlog::partial_width(level, size_)}),
                     tlog::tile_bytes(levels_[level])});
  }
  taken_ = size_;
  bytes_ = 0;
  return files;
}

}  // namespace avseal::ledger
