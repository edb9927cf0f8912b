#include "ledger/leaf.hpp"

#include "support.hpp"
#include "tokens/base64.hpp"

namespace avseal::ledger::test {
namespace {

std::string text_of(const LeafDraft& draft, std::uint64_t index = 5, std::int64_t time = 1'763'930'040'123) {
  Bytes out;
  draft.append_to(out, index, time);
  return std::string(as_text(out));
}

KeyUse key_use(std::uint64_t sequence) {
  return {"avatar-id", "kid-1", "worker-1", sequence, "digest-1", "signed"};
}

TEST(LeafTest, HasExactlyTheseBytes) {
  Event what = event();
  what.details["origid"] = "o-1";
  const std::vector<SubjectTag> subjects = {{"orig", "tag-1"}, {"dest", "tag-2"}, {"dest", "tag-3"}};
  const std::vector<KeyUse> uses = {key_use(7), key_use(8)};
  const auto draft = EventText(what, "id-1", subjects).finish(uses, 0, Outcome::released, "");
  EXPECT_EQ(
      text_of(draft),
      R"({"actor":"Bo4jmZk9xW0","client":"ims-as-1","details":{"origid":"o-1"},"event":"sign.avatar-id","id":"id-1",)"
      R"("index":5,"keys":[)"
      R"({"digest":"digest-1","key":"avatar-id","kid":"kid-1","outcome":"signed","sequence":7,"worker":"worker-1"},)"
      R"({"digest":"digest-1","key":"avatar-id","kid":"kid-1","outcome":"signed","sequence":8,"worker":"worker-1"}],)"
      R"("outcome":"released","request":"req-1","subjects":{"dest":["tag-2","tag-3"],"orig":["tag-1"]},)"
      R"("time":1763930040123})");
}

TEST(LeafTest, LeavesOutWhatIsEmpty) {
  Event what;
  what.type = "ledger.stop";
  EXPECT_EQ(text_of(EventText(what, {}, {}).finish({}, 0, Outcome::discarded, "abandoned"), 0, 1),
            R"({"event":"ledger.stop","index":0,"outcome":"discarded","reason":"abandoned","time":1})");
}

TEST(LeafTest, IsCanonicalWhateverTheTextHolds) {
  Event what = event("a\"b\\c\x01\n");
  what.client = "\xc3\xa9/\x7f";
  const auto text = text_of(EventText(what, {}, {}).finish({}, 0, Outcome::refused, "r\t"));
  EXPECT_EQ(tokens::canonical_json(tokens::parse_json(text).value()), text);
}

TEST(LeafTest, NeverExceedsItsLimit) {
  Event what = event();
  what.details["text"] = std::string(max_event_size - 200, 'x');
  EventText text(what, {}, {});
  ASSERT_LE(text.size(), max_event_size);
  auto use = key_use(1);
  use.worker = std::string(2000, 'w');
  const std::vector<KeyUse> uses(max_key_uses, use);
  const auto leaf = text_of(std::move(text).finish(uses, 3, Outcome::released, std::string(10'000, 'r')));
  EXPECT_LE(leaf.size(), max_leaf_size);
  const auto value = tokens::parse_json(leaf).value();
  const auto kept = value.at("keys").as_array().size();
  EXPECT_GT(kept, 5U);
  EXPECT_EQ(value.at("keys_omitted").as_int64(), static_cast<std::int64_t>(max_key_uses - kept + 3));
}

TEST(LeafTest, SubjectTagDependsOnEachPart) {
  const Bytes key(32, 1);
  const auto tag = subject_tag(key, "op/node", "sign", "sip:alice@a.example", "id-1");
  EXPECT_EQ(tag,
            tokens::base64url_encode(tokens::hmac_sha256(key, as_bytes("op/node\nsign\nsip:alice@a.example\nid-1"))));
  EXPECT_NE(tag, subject_tag(Bytes(32, 2), "op/node", "sign", "sip:alice@a.example", "id-1"));
  EXPECT_NE(tag, subject_tag(key, "op/other", "sign", "sip:alice@a.example", "id-1"));
  EXPECT_NE(tag, subject_tag(key, "op/node", "grant", "sip:alice@a.example", "id-1"));
  EXPECT_NE(tag, subject_tag(key, "op/node", "sign", "sip:bob@a.example", "id-1"));
  EXPECT_NE(tag, subject_tag(key, "op/node", "sign", "sip:alice@a.example", "id-2"));
}

}  // namespace
}  // namespace avseal::ledger::test
