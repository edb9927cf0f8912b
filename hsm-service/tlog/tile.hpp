// Tiles and entry bundles (C2SP tlog-tiles v0.1.0): their paths, sizes and contents.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tlog/merkle.hpp"

namespace avseal::tlog {

inline constexpr unsigned tile_height = 8;
inline constexpr unsigned tile_width = 256;  // hashes of a full tile, entries of a full bundle
inline constexpr std::size_t hash_size = 32;
inline constexpr std::size_t max_entry_size = 65535;
inline constexpr std::size_t max_bundle_size = tile_width * (2 + max_entry_size);

// One file of a log: a tile of level 0 to 63 (a log of at most 2^63 leaves has those up to 7), or a bundle of entries.
struct TileName {
  std::optional<unsigned> level;  // none: a bundle
  std::uint64_t index = 0;
  unsigned width = tile_width;  // 1 to 256; less than 256: partial

  friend bool operator==(const TileName&, const TileName&) = default;
};

std::string path_of(const TileName& name);  // "tile/0/x001/x234/067", "tile/entries/000.p/5"
// Only what path_of() gives. Reason "tile-malformed".
Result<TileName> parse_tile_path(std::string_view path);

// Of a log with `size` leaves: how many full tiles (for level 0: also bundles) `level` has, and how wide the partial
// one behind them is (0: there is none).
std::uint64_t full_tiles(unsigned level, std::uint64_t size);
unsigned partial_width(unsigned level, std::uint64_t size);
// The tile with the hash of `index` in `level`, as wide as it is at `size`; index must be below the level's width
// there.
TileName tile_at(std::optional<unsigned> level, std::uint64_t index, std::uint64_t size);

void append_entry(Bytes& bundle, ByteView entry);  // entry: at most max_entry_size bytes
// Views into `bundle`. Reason "tile-malformed": not exactly `width` entries.
Result<std::vector<ByteView>> read_bundle(ByteView bundle, unsigned width);
Bytes tile_bytes(std::span<const Hash> hashes);
Result<std::vector<Hash>> read_tile(ByteView bytes, unsigned width);  // likewise

using TileReader = std::function<Result<Bytes>(const TileName& name)>;

// NodeReader of a log of `size` leaves over its tiles; remembers those that it read. Hashes are taken as they stand:
// compare root_at() with a checkpoint before relying on them. One thread.
class TileNodes {
 public:
  TileNodes(std::uint64_t size, TileReader read) : size_(size), read_(std::move(read)) {}
  Result<Hash> operator()(unsigned level, std::uint64_t index);

 private:
  Result<const std::vector<Hash>*> tile(unsigned level, std::uint64_t index);

  std::uint64_t size_;
  TileReader read_;
  std::map<std::pair<unsigned, std::uint64_t>, std::vector<Hash>> tiles_;
};

}  // namespace avseal::tlog
