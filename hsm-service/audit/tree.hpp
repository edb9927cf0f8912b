#pragma once

#include "audit/verdict.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/source.hpp"

namespace avseal::audit {

// What was found at the place of one bundle: the hashes of its entries and those in its tile of level 0.
struct Bundle {
  std::uint64_t index = 0;
  unsigned width = 0;
  std::vector<tlog::Hash> entries;  // empty: the bundle is missing or no bundle
  std::vector<tlog::Hash> tile;     // likewise
  tlog::Hash root{};                // over entries, if they are 256
};

// The tree over a log's bundles, made anew from left to right and compared with each tile of each level on the way.
class Tree {
 public:
  // Of the log of a checkpoint, from bundle `first` on; the hashes to its left are taken from the tiles, and not known
  // to be good before root() was compared with a checkpoint. Errors: those of the source.
  static Result<Tree> begin(const tlog::Source& source, const tlog::Checkpoint& checkpoint, std::uint64_t first,
                            Verdict& verdict);

  void take(Bundle bundle);  // in order; breaches go to the verdict
  void finish();             // after the last one: compares the partial tiles

  // The root of the first `size` leaves: all bundles but the last that was taken, and some of that one. Empty: too much
  // is missing to tell.
  [[nodiscard]] std::optional<tlog::Hash> root(std::uint64_t size) const;

 private:
  struct Level {
    std::uint64_t tile = 0;          // index of the one that grows
    std::vector<tlog::Hash> hashes;  // its
  };

  Tree(const tlog::Source& source, const tlog::Checkpoint& checkpoint, Verdict& verdict)
      : source_(&source), size_(checkpoint.size), signed_root_(checkpoint.root), verdict_(&verdict) {}
  Result<void> load_left(std::uint64_t first);
  void choose(Bundle& bundle);
  void settle(Bundle& bundle, const std::optional<tlog::Hash>& tile_root, const std::optional<tlog::Hash>& above);
  void report_entries(const Bundle& bundle);
  void report_tile(const Bundle& bundle);
  [[nodiscard]] std::optional<tlog::Hash> root_with(std::span<const tlog::Hash> last) const;
  [[nodiscard]] std::optional<tlog::Hash> parent(std::uint64_t bundle) const;
  void push(unsigned level, const tlog::Hash& hash);
  void compare(unsigned level, const Level& with);
  void close_last();

  const tlog::Source* source_;
  std::uint64_t size_;
  tlog::Hash signed_root_;
  Verdict* verdict_;
  std::vector<Level> levels_;        // from level 1
  std::vector<tlog::Hash> last_;     // leaf hashes of the bundle that was taken last
  std::uint64_t last_start_ = 0;     // its first leaf
  std::optional<tlog::Hash> whole_;  // its root, if it is full
  bool complete_ = true;
};

}  // namespace avseal::audit
