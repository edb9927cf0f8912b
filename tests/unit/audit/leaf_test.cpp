#include "audit/leaf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace avseal::audit {
namespace {

const std::string digest(43, 'd');
const std::string kid(43, 'k');

std::string use_text(std::string_view outcome = "signed", std::string_view sequence = "7") {
  return R"({"digest":")" + digest + R"(","key":"avatar-id","kid":")" + kid + R"(","outcome":")" +
         std::string(outcome) + R"(","sequence":)" + std::string(sequence) + R"(,"worker":"w-1"})";
}

std::string leaf_text(std::string_view uses) {
  return R"({"actor":"x5t","client":"ims-as-1","details":{"app":"xr"},"event":"sign.avatar-id","id":"i","index":5,"keys":[)" +
         std::string(uses) +
         R"(],"keys_omitted":2,"outcome":"released","reason":"r","request":"q","subjects":{"orig":["t"]},"time":-3})";
}

Result<void> read(const std::string& text) {
  Leaf leaf;
  return read_leaf(as_bytes(text), leaf);
}

TEST(LeafTest, HasEveryMember) {
  const auto text = leaf_text(use_text() + "," + use_text("discarded", "8"));
  Leaf leaf;
  ASSERT_TRUE(read_leaf(as_bytes(text), leaf));
  EXPECT_EQ(leaf.actor, "x5t");
  EXPECT_EQ(leaf.client, "ims-as-1");
  EXPECT_EQ(leaf.parsed_details().at("app").as_string(), "xr");
  EXPECT_EQ(leaf.event, "sign.avatar-id");
  EXPECT_EQ(leaf.id, "i");
  EXPECT_EQ(leaf.index, 5U);
  EXPECT_EQ(leaf.uses_omitted, 2U);
  EXPECT_TRUE(leaf.released());
  EXPECT_EQ(leaf.reason, "r");
  EXPECT_EQ(leaf.request, "q");
  EXPECT_EQ(leaf.subjects, R"({"orig":["t"]})");
  EXPECT_EQ(leaf.time, -3);
  ASSERT_EQ(leaf.uses.size(), 2U);
  EXPECT_EQ(leaf.uses[0].key, "avatar-id");
  EXPECT_EQ(leaf.uses[0].kid, kid);
  EXPECT_EQ(leaf.uses[0].digest, digest);
  EXPECT_EQ(leaf.uses[0].worker, "w-1");
  EXPECT_EQ(leaf.uses[1].sequence, 8U);
  EXPECT_EQ(leaf.uses[1].outcome, "discarded");

  // Nothing of it stays in the next one.
  ASSERT_TRUE(read_leaf(as_bytes(R"({"event":"ledger.stop","index":0,"outcome":"released","time":1})"), leaf));
  EXPECT_TRUE(leaf.uses.empty());
  EXPECT_EQ(leaf.client, "");
  EXPECT_TRUE(leaf.parsed_details().empty());
}

TEST(LeafTest, RefusesWhatNoLeafHas) {
  const std::string texts[] = {
      "",
      "[]",
      R"({"event":"e","index":1,"outcome":"released"})",
      R"({"event":"e","outcome":"released","time":1})",
      R"({"index":1,"outcome":"released","time":1})",
      R"({"event":"e","index":1,"time":1})",
      R"({"event":"e","index":1,"outcome":"done","time":1})",
      R"({"event":"e","index":-1,"outcome":"released","time":1})",
      R"({"event":"e","index":1,"other":1,"outcome":"released","time":1})",
      R"({"":1,"event":"e","index":1,"outcome":"released","time":1})",
      R"({"details":1,"event":"e","index":1,"outcome":"released","time":1})",
      R"({"event":"e","index":1,"outcome":"released","time":1} )",
      leaf_text(use_text("used")),
      leaf_text(use_text("signed", "0")),
      leaf_text(use_text("signed", "\"1\"")),
      leaf_text(R"({"key":"k"})"),
      leaf_text("1"),
  };
  for (const auto& text : texts) {
    const auto leaf = read(text);
    ASSERT_FALSE(leaf) << text;
    EXPECT_EQ(leaf.error().reason, "leaf-malformed");
  }
  EXPECT_THAT(read(R"({"event":"e","index":1,"other":1})").error().detail,
              ::testing::HasSubstr("at byte 31: a member that leaves do not have"));
}

TEST(LeafTest, HasABoundOfSize) {
  const std::string head = R"({"event":")";
  const std::string tail = R"(","index":1,"outcome":"released","time":1})";
  EXPECT_TRUE(read(head + std::string(max_leaf_size - head.size() - tail.size(), 'e') + tail));
  EXPECT_FALSE(read(head + std::string(max_leaf_size - head.size() - tail.size() + 1, 'e') + tail));
}

}  // namespace
}  // namespace avseal::audit
