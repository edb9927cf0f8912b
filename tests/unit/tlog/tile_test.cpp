#include "tlog/tile.hpp"

#include <set>

#include <gtest/gtest.h>

namespace avseal::tlog {
namespace {

TEST(Tile, PathsAreThoseOfTheSpecification) {
  EXPECT_EQ(path_of({0, 1234067, 256}), "tile/0/x001/x234/067");
  EXPECT_EQ(path_of({1, 0, 112}), "tile/1/000.p/112");
  EXPECT_EQ(path_of({std::nullopt, 273, 112}), "tile/entries/273.p/112");
  EXPECT_EQ(path_of({std::nullopt, 1000, 256}), "tile/entries/x001/000");
}

TEST(Tile, APathIsReadBackAndNoOtherSpellingIs) {
  for (const TileName& name : {TileName{0, 0, 1}, TileName{7, 999, 255}, TileName{63, 0, 256}, TileName{3, 1000, 256},
                               TileName{std::nullopt, 123456789, 17}, TileName{0, std::uint64_t{1} << 55U, 256}}) {
    const auto read = parse_tile_path(path_of(name));
    ASSERT_TRUE(read) << path_of(name);
    EXPECT_EQ(*read, name);
  }
  for (const std::string_view wrong : {"",
                                       "tile",
                                       "tile/",
                                       "tile/0",
                                       "tile/0/",
                                       "tile/0/1",
                                       "tile/0/0001",
                                       "tile/00/000",
                                       "tile/64/000",
                                       "tile/0/x000/001",
                                       "tile/0/001/000",
                                       "tile/0/x001/x000",
                                       "tile/0/000.p/0",
                                       "tile/0/000.p/256",
                                       "tile/0/000.p/01",
                                       "tile/0/000.p/",
                                       "tile/0/000.p/5/",
                                       "tile/entries/000.p/-1",
                                       "tile/entries",
                                       "tile/-1/000",
                                       "/tile/0/000",
                                       "tile/0/../000",
                                       "tile/0/00a",
                                       "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
                                       "tile//000"}) {
    EXPECT_FALSE(parse_tile_path(wrong)) << wrong;
  }
}

struct Row {
  std::uint64_t size;
  unsigned level;
  std::uint64_t full;
  unsigned partial;
};

TEST(Tile, CountsOfFullAndPartialTiles) {
  for (const Row& row :
       {Row{0, 0, 0, 0}, Row{1, 0, 0, 1}, Row{255, 0, 0, 255}, Row{256, 0, 1, 0}, Row{256, 1, 0, 1}, Row{257, 0, 1, 1},
        Row{257, 1, 0, 1}, Row{65535, 0, 255, 255}, Row{65535, 1, 0, 255}, Row{65536, 0, 256, 0}, Row{65536, 1, 1, 0},
        Row{65536, 2, 0, 1}, Row{70000, 0, 273, 112}, Row{70000, 1, 1, 17}, Row{70000, 2, 0, 1}, Row{70000, 3, 0, 0},
        Row{70000, 8, 0, 0}, Row{70000, 63, 0, 0}}) {
    EXPECT_EQ(full_tiles(row.level, row.size), row.full) << row.size;
    EXPECT_EQ(partial_width(row.level, row.size), row.partial) << row.size;
  }
  EXPECT_EQ(tile_at(0, 69999, 70000), (TileName{0, 273, 112}));
  EXPECT_EQ(tile_at(1, 255, 70000), (TileName{1, 0, 256}));
  EXPECT_EQ(tile_at(std::nullopt, 5, 70000), (TileName{std::nullopt, 0, 256}));
}

TEST(Tile, BundlesHoldTheirEntriesAndNothingElse) {
  Bytes bundle;
  const std::string longest(max_entry_size, 'x');
  for (const std::string_view entry : {std::string_view("one"), std::string_view(""), std::string_view(longest)}) {
    append_entry(bundle, as_bytes(entry));
  }
  const auto entries = read_bundle(bundle, 3);
  ASSERT_TRUE(entries);
  EXPECT_EQ(as_text((*entries)[0]), "one");
  EXPECT_TRUE((*entries)[1].empty());
  EXPECT_EQ(as_text((*entries)[2]), longest);
  EXPECT_FALSE(read_bundle(bundle, 2));
  EXPECT_FALSE(read_bundle(bundle, 4));
  EXPECT_FALSE(read_bundle(ByteView(bundle).first(bundle.size() - 1), 3));
  EXPECT_FALSE(read_bundle(ByteView(bundle).first(4), 1));
  EXPECT_FALSE(read_bundle(ByteView(bundle).first(1), 1));
}

// A log's files in memory, written at once for a size.
class TileNodesTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(TileNodesTest, GiveTheRootAndProofsOfTheirLeaves) {
  const auto size = GetParam();
  std::vector<std::vector<Hash>> levels(1);
  for (std::uint64_t i = 0; i < size; ++i) levels[0].push_back(leaf_hash(as_bytes(std::to_string(i))));
  while (levels.back().size() >= tile_width) {
    std::vector<Hash> above;
    for (std::size_t at = 0; at + tile_width <= levels.back().size(); at += tile_width) {
      above.push_back(root_of_leaves(std::span(levels.back()).subspan(at, tile_width)));
    }
    levels.push_back(std::move(above));
  }
  std::set<std::string> asked;
  TileNodes nodes(size, [&](const TileName& name) -> Result<Bytes> {
    asked.insert(path_of(name));
    return tile_bytes(std::span(levels.at(*name.level)).subspan(name.index * tile_width, name.width));
  });
  const Hash root = root_of_leaves(levels[0]);
  EXPECT_EQ(root_at(size, std::ref(nodes)).value(), root);
  EXPECT_LE(asked.size(), 3U);  // the right edge alone
  for (const auto index : {std::uint64_t{0}, size / 3, size - 1}) {
    const auto proof = inclusion_proof(index, size, std::ref(nodes)).value();
    EXPECT_TRUE(verify_inclusion(index, size, levels[0][index], root, proof)) << index;
  }
  for (const auto old : {std::uint64_t{1}, size / 2 + 1, size}) {
    const auto proof = consistency_proof(old, size, std::ref(nodes)).value();
    EXPECT_TRUE(verify_consistency(old, root_of_leaves(std::span(levels[0]).first(old)), size, root, proof)) << old;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, TileNodesTest, ::testing::Values(1, 255, 256, 257, 65535, 65536, 70000));

}  // namespace
}  // namespace avseal::tlog
