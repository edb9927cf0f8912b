#include "tlog/export_manifest.hpp"

#include <gtest/gtest.h>

#include "tokens/base64.hpp"

namespace avseal::tlog {
namespace {

const std::string origin = "demo.avseal.example/node-1/2026";

ExportManifest manifest() {
  ExportManifest out;
  out.checkpoint = {origin, 700, leaf_hash(as_bytes("root"))};
  out.from = 256;
  out.to = 600;
  out.files = {{leaf_hash(as_bytes("a")), "README"}, {leaf_hash(as_bytes("b")), "tile/0/001"}};
  return out;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(ExportManifest, IsReadAsItIsWritten) {
  const auto wanted = manifest();
  const auto text = wanted.text();
  EXPECT_TRUE(text.starts_with(origin + "/export\nrange 256 600\ncheckpoint 700 ")) << text;
  const auto read = ExportManifest::parse(text);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(*read, wanted);
  EXPECT_FALSE(Checkpoint::parse(text));
}

TEST(ExportManifest, RefusesEveryOtherForm) {
  const auto text = manifest().text();
  const auto root = hash_text(manifest().checkpoint.root);
  const std::vector<std::string> others = {
      "",
      "\n",
      text + "\n",
      text.substr(0, text.size() - 1),
      replaced(text, "/export", ""),
      replaced(text, "/export", "/export "),
      replaced(text, origin, ""),
      replaced(text, origin, "a b"),
      replaced(text, "range 256 600", "range 0256 600"),
      replaced(text, "range 256 600", "range 256"),
      replaced(text, "range 256 600", "range 600 256"),
      replaced(text, "range 256 600", "range 256 256"),
      replaced(text, "range 256 600", "range 256 701"),
      replaced(text, "range 256 600", "range -1 600"),
      replaced(text, "range 256 600", "range  256 600"),
      replaced(text, "range 256 600", "range 256 600 "),
      replaced(text, "range 256 600\n", ""),
      replaced(text, "checkpoint 700", "checkpoint 700 0"),
      replaced(text, root, root.substr(1)),
      replaced(text, "  README", " README"),
      replaced(text, "  README", "   README"),
      replaced(text, "README", "tile/0/002"),
      replaced(text, "README", "tile/0/001"),
      replaced(text, "README", ""),
      replaced(text, "README", "/README"),
      replaced(text, "README", "a//b"),
      replaced(text, "README", "a/../b"),
      replaced(text, "README", "./README"),
      replaced(text, "README", "READ ME"),
      replaced(text, "README", "READ\rME"),
      replaced(text, "\n" + tokens::hex_encode(manifest().files.front().sha256),
               "\n" + tokens::hex_encode_upper(manifest().files.front().sha256)),
      origin + "/export\nrange 0 1\ncheckpoint 1 " + root + "\n",
      text + std::string(max_export_manifest, 'a'),
  };
  for (const auto& other : others) {
    const auto read = ExportManifest::parse(other);
    ASSERT_FALSE(read) << other.substr(0, 400);
    EXPECT_TRUE(read.error().reason == "manifest-malformed" || read.error().reason == "checkpoint-malformed") << other;
  }
}

}  // namespace
}  // namespace avseal::tlog
