#include "tlog/tile.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "tlog/errors.hpp"

namespace avseal::tlog {

namespace {

constexpr unsigned max_level = 63;      // that has a path
constexpr unsigned max_used_level = 7;  // of a log with at most 2^63 leaves
constexpr std::uint64_t max_index = std::uint64_t{1} << 55U;

Error malformed(std::string detail) {
  return errors::malformed("tile-malformed", std::move(detail));
}

// The hashes that `level` has in a log of `size` leaves.
std::uint64_t hashes_in(unsigned level, std::uint64_t size) {
  return level > max_used_level ? 0 : size >> (tile_height * level);
}

std::optional<unsigned> small_number(std::string_view text, unsigned max) {
  unsigned value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool leading_zero = text.size() > 1 && text.front() == '0';
  if (failed != std::errc() || end != text.data() + text.size() || leading_zero || value > max) return std::nullopt;
  return value;
}

}  // namespace

std::string path_of(const TileName& name) {
  std::string index = fmt::format("{:03}", name.index % 1000);
  for (auto rest = name.index / 1000; rest != 0; rest /= 1000) index = fmt::format("x{:03}/", rest % 1000) + index;
  const std::string level = name.level ? std::to_string(*name.level) : "entries";
  const std::string partial = name.width == tile_width ? "" : fmt::format(".p/{}", name.width);
  return fmt::format("tile/{}/{}{}", level, index, partial);
}

Result<TileName> parse_tile_path(std::string_view path) {
  const auto wrong = [&] {
    return malformed(fmt::format("expected a path like tile/0/x001/234 or tile/entries/000.p/5, found {}",
                                 path.size() > 64 ? "a longer text" : path));
  };
  constexpr std::string_view prefix = "tile/";
  if (path.size() > 64 || !path.starts_with(prefix)) return wrong();
  auto rest = path.substr(prefix.size());
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return wrong();
  TileName name;
  if (rest.substr(0, slash) != "entries") {
    name.level = small_number(rest.substr(0, slash), max_level);
    if (!name.level) return wrong();
  }
  rest = rest.substr(slash + 1);
  if (const auto partial = rest.find(".p/"); partial != std::string_view::npos) {
    const auto width = small_number(rest.substr(partial + 3), tile_width - 1);
    if (!width || *width == 0) return wrong();
    name.width = *width;
    rest = rest.substr(0, partial);
  }
  for (const char c : rest) {
    if (c >= '0' && c <= '9') name.index = name.index * 10 + static_cast<unsigned>(c - '0');
    if (name.index > max_index) return wrong();
  }
  if (path_of(name) != path) return wrong();
  return name;
}

std::uint64_t full_tiles(unsigned level, std::uint64_t size) {
  return hashes_in(level, size) / tile_width;
}

unsigned partial_width(unsigned level, std::uint64_t size) {
  return static_cast<unsigned>(hashes_in(level, size) % tile_width);
}

TileName tile_at(std::optional<unsigned> level, std::uint64_t index, std::uint64_t size) {
  TileName name{level, index / tile_width, tile_width};
  if (name.index >= full_tiles(level.value_or(0), size)) name.width = partial_width(level.value_or(0), size);
  return name;
}

void append_entry(Bytes& bundle, ByteView entry) {
  bundle.push_back(static_cast<std::uint8_t>(entry.size() >> 8U));
  bundle.push_back(static_cast<std::uint8_t>(entry.size() & 0xFFU));
  bundle.insert(bundle.end(), entry.begin(), entry.end());
}

Result<std::vector<ByteView>> read_bundle(ByteView bundle, unsigned width) {
  std::vector<ByteView> entries;
  entries.reserve(width);
  while (!bundle.empty() && entries.size() < width) {
    if (bundle.size() < 2) return malformed("the bundle ends within the length of an entry");
    const auto size = static_cast<std::size_t>(bundle[0] << 8U | bundle[1]);
    if (size > bundle.size() - 2) return malformed("the bundle ends within an entry");
    entries.push_back(bundle.subspan(2, size));
    bundle = bundle.subspan(2 + size);
  }
  if (entries.size() != width || !bundle.empty()) {
    return malformed(fmt::format("expected {} entries, found {}", width,
                                 bundle.empty() ? std::to_string(entries.size()) : "bytes behind them"));
  }
  return entries;
}

Bytes tile_bytes(std::span<const Hash> hashes) {
  Bytes bytes;
  bytes.reserve(hashes.size() * hash_size);
  for (const auto& hash : hashes) bytes.insert(bytes.end(), hash.begin(), hash.end());
  return bytes;
}

Result<std::vector<Hash>> read_tile(ByteView bytes, unsigned width) {
  if (bytes.size() != width * hash_size) {
    return malformed(fmt::format("expected {} bytes, found {}", width * hash_size, bytes.size()));
  }
  std::vector<Hash> hashes(width);
  for (auto& hash : hashes) {
    std::copy_n(bytes.begin(), hash_size, hash.begin());
    bytes = bytes.subspan(hash_size);
  }
  return hashes;
}

Result<const std::vector<Hash>*> TileNodes::tile(unsigned level, std::uint64_t index) {
  const auto known = tiles_.find({level, index});
  if (known != tiles_.end()) return &known->second;
  const TileName name = tile_at(level, index * tile_width, size_);
  AVSEAL_TRY(const Bytes bytes, read_(name));
  AVSEAL_TRY(auto hashes, read_tile(bytes, name.width));
  return &tiles_.emplace(std::pair(level, index), std::move(hashes)).first->second;
}

Result<Hash> TileNodes::operator()(unsigned level, std::uint64_t index) {
  const unsigned tile_level = level / tile_height;
  const unsigned above = level % tile_height;  // levels of the tree above the tile's hashes
  const auto first = index << above;
  const auto count = std::uint64_t{1} << above;
  AVSEAL_TRY(const auto* hashes, tile(tile_level, first / tile_width));
  const auto at = first % tile_width;
  if (at + count > hashes->size()) return malformed("a node beyond the tree was asked for");
  return root_of_leaves(std::span(*hashes).subspan(at, count));
}

}  // namespace avseal::tlog
