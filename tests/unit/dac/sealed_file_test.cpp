#include "dac/sealed_file.hpp"

#include <fstream>

#include "dac/data_key.hpp"
#include "support.hpp"

namespace avseal::dac {
namespace {

constexpr std::size_t header_size = 16;
constexpr std::size_t stride = segment_size + 16;

class SealedFile : public ::testing::Test {
 protected:
  std::filesystem::path seal(ByteView content, const std::string& avatar = "urn:uuid:a", std::size_t piece = 10'000) {
    auto writer = SealedWriter::create(dir_.path(), key_, avatar).value();
    for (std::size_t at = 0; at < content.size(); at += piece)
      EXPECT_TRUE(writer->append(content.subspan(at, std::min(piece, content.size() - at))));
    EXPECT_EQ(writer->size(), content.size());
    EXPECT_TRUE(writer->finish(tokens::sha256(content)));
    return dir_.path() / writer->name();
  }
  Result<Bytes> open(const std::filesystem::path& file, std::uint64_t size, const std::string& avatar = "urn:uuid:a") {
    AVSEAL_TRY(const auto reader, SealedReader::open(file, key_, avatar, size));
    Bytes out;
    const auto count = size == 0 ? 1 : (size + segment_size - 1) / segment_size;
    for (std::uint32_t i = 0; i < count; ++i) {
      AVSEAL_TRY(const auto segment, reader->segment(i));
      out.insert(out.end(), segment.begin(), segment.end());
    }
    return out;
  }
  static Bytes load(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void store(const std::filesystem::path& file, const Bytes& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::string refusal(const std::filesystem::path& file, const Bytes& bytes, std::uint64_t size) {
    store(file, bytes);
    const auto opened = open(file, size);
    return opened ? "opened" : std::string(opened.error().reason);
  }

  test::TempDir dir_;
  Secret key_ = Secret::random(32);
};

TEST_F(SealedFile, GivesBackWhatWasSealed) {
  for (const std::size_t size : {0UL, 1UL, 65'535UL, 65'536UL, 65'537UL, 131'072UL, 200'000UL}) {
    const auto content = test::pattern(size);
    for (const std::size_t piece : {1'000UL, 65'536UL, 1'000'000UL}) {
      const auto file = seal(content, "urn:uuid:a", piece);
      const auto opened = open(file, size);
      ASSERT_TRUE(opened) << size;
      EXPECT_EQ(*opened, content) << size;
      EXPECT_EQ(std::filesystem::file_size(file),
                header_size + size + 16 * std::max<std::size_t>(1, (size + segment_size - 1) / segment_size));
    }
  }
}

TEST_F(SealedFile, HoldsNoPlaintext) {
  const Bytes content(300'000, 'A');
  const auto sealed = load(seal(content));
  EXPECT_EQ(as_text(sealed).find("AAAAAAAA"), std::string_view::npos);
}

TEST_F(SealedFile, EveryFlippedBitIsCaught) {
  const auto content = test::pattern(70'000);
  const auto file = seal(content);
  const auto good = load(file);
  for (const std::size_t at : {0UL, 8UL, 9UL, 15UL, 16UL, 1'000UL, header_size + segment_size, stride + header_size - 1,
                               stride + header_size, good.size() - 1}) {
    auto bad = good;
    bad[at] ^= 0x01;
    EXPECT_EQ(refusal(file, bad, content.size()), "content-altered") << at;
  }
}

TEST_F(SealedFile, SwappedAndRepeatedSegmentsAreCaught) {
  const auto content = test::pattern(4 * segment_size);
  const auto file = seal(content);
  const auto good = load(file);
  const auto segment = [&](std::size_t i) {
    return good.begin() + static_cast<std::ptrdiff_t>(header_size + i * stride);
  };

  auto swapped = good;
  std::swap_ranges(swapped.begin() + header_size, swapped.begin() + header_size + stride,
                   swapped.begin() + header_size + stride);
  EXPECT_EQ(refusal(file, swapped, content.size()), "content-altered");

  auto repeated = good;
  std::copy(segment(0), segment(1), repeated.begin() + header_size + stride);
  EXPECT_EQ(refusal(file, repeated, content.size()), "content-altered");

  auto last_first = good;
  std::copy(segment(3), good.end(), last_first.begin() + header_size);
  EXPECT_EQ(refusal(file, last_first, content.size()), "content-altered");
}

TEST_F(SealedFile, TruncationAndAppendingAreCaughtWhateverSizeIsClaimed) {
  const auto content = test::pattern(3 * segment_size);
  const auto file = seal(content);
  const auto good = load(file);

  Bytes cut(good.begin(), good.begin() + header_size + 2 * stride);
  EXPECT_EQ(refusal(file, cut, content.size()), "content-altered");
  EXPECT_EQ(refusal(file, cut, 2 * segment_size), "content-altered");  // the last flag, not the size, catches this one
  EXPECT_EQ(refusal(file, Bytes(good.begin(), good.end() - 1), content.size()), "content-altered");
  EXPECT_EQ(refusal(file, Bytes(good.begin(), good.end() - 1), content.size() - 1), "content-altered");
  EXPECT_EQ(refusal(file, Bytes{}, content.size()), "content-altered");
  EXPECT_EQ(refusal(file, Bytes(good.begin(), good.begin() + header_size), 0), "content-altered");

  auto longer = good;
  longer.push_back(0);
  EXPECT_EQ(refusal(file, longer, content.size()), "content-altered");
  auto segment_more = good;
  segment_more.insert(segment_more.end(), good.end() - stride, good.end());
  EXPECT_EQ(refusal(file, segment_more, content.size()), "content-altered");
  EXPECT_EQ(refusal(file, segment_more, 4 * segment_size), "content-altered");
}

TEST_F(SealedFile, OfAnotherAvatarOrKeyIsCaught) {
  const auto content = test::pattern(1'000);
  const auto file = seal(content, "urn:uuid:a");
  EXPECT_EQ(open(file, content.size(), "urn:uuid:b").error().reason, "content-altered");
  key_ = Secret::random(32);
  EXPECT_EQ(open(file, content.size()).error().reason, "content-altered");
}

TEST_F(SealedFile, SegmentsOfAnotherFileUnderTheSameKeyAreCaught) {
  const auto first = seal(test::pattern(2 * segment_size, 1));
  const auto second = seal(test::pattern(2 * segment_size, 2));
  auto mixed = load(first);
  const auto other = load(second);
  std::copy(other.begin() + header_size, other.begin() + header_size + stride, mixed.begin() + header_size);
  EXPECT_EQ(refusal(first, mixed, 2 * segment_size), "content-altered");
}

TEST_F(SealedFile, AWrongDigestLeavesNothingBehind) {
  {
    auto writer = SealedWriter::create(dir_.path(), key_, "a").value();
    EXPECT_TRUE(writer->append(as_bytes("content")));
    EXPECT_EQ(writer->finish(tokens::sha256(as_bytes("other"))).error().reason, "content-digest-mismatch");
  }
  { auto abandoned = SealedWriter::create(dir_.path(), key_, "a").value(); }
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(SealedFile, NamesWhatIsMissing) {
  EXPECT_EQ(open(dir_.path() / "none.sealed", 1).error().reason, "content-missing");
  EXPECT_EQ(SealedWriter::create(dir_.path() / "none", key_, "a").error().reason, "content-storage");
  std::filesystem::create_symlink(seal(test::pattern(5)), dir_.path() / "link.sealed");
  EXPECT_EQ(open(dir_.path() / "link.sealed", 5).error().reason, "content-storage");
  EXPECT_EQ(SealedWriter::create(dir_.path(), Secret::random(16), "a").error().reason, "content-cipher");
}

TEST(DataKey, IsBoundToOneVersionOfOneAvatar) {
  const auto aad = published_key_aad("urn:a", 1, "sha-256-x", 5);
  EXPECT_NE(aad, published_key_aad("urn:b", 1, "sha-256-x", 5));
  EXPECT_NE(aad, published_key_aad("urn:a", 2, "sha-256-x", 5));
  EXPECT_NE(aad, published_key_aad("urn:a", 1, "sha-256-y", 5));
  EXPECT_NE(aad, published_key_aad("urn:a", 1, "sha-256-x", 6));
  EXPECT_NE(aad, staged_key_aad("urn:a", "sha-256-x", 5));
}

}  // namespace
}  // namespace avseal::dac
