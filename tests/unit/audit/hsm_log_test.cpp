#include "audit/hsm_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hsm_log.hpp"

namespace avseal::audit::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string hash_text(const HsmEntry::Hash& hash) {
  return tokens::hex_encode(hash);
}

// Published: https://developers.yubico.com/Archive_Old_Dev_Docs/YubiHSM2/Commands/Get_Log_Entries.html.
constexpr std::string_view documented =
    "0 unlogged boots found\n"
    "0 unlogged authentications found\n"
    "Found 6 items\n"
    "item:    46 -- cmd: 0x4b -- length:  234 -- session key: 0x0001 -- target key: 0xcf94 -- second key: 0x997e -- "
    "result: 0xcb -- tick: 335725 -- hash: 415f51f1f035a1b713e730e4464e4033\n"
    "item:    47 -- cmd: 0x4c -- length:   77 -- session key: 0x0001 -- target key: 0xaff7 -- second key: 0xffff -- "
    "result: 0xcc -- tick: 351714 -- hash: 5496a60d478c2b9c801d8d32ca66b554\n"
    "item:    48 -- cmd: 0x00 -- length:    0 -- session key: 0xffff -- target key: 0x0000 -- second key: 0x0000 -- "
    "result: 0x00 -- tick: 0 -- hash: 14ac7747ba9bbb243cfc70befeb5349b\n"
    "item:    49 -- cmd: 0x03 -- length:   10 -- session key: 0xffff -- target key: 0x0001 -- second key: 0xffff -- "
    "result: 0x83 -- tick: 139 -- hash: b20a8f25c025e693a8e869b433294a20\n"
    "item:    50 -- cmd: 0x04 -- length:   17 -- session key: 0xffff -- target key: 0x0001 -- second key: 0xffff -- "
    "result: 0x84 -- tick: 139 -- hash: ebfae425c319ac7a0afbb8b92597de7c\n"
    "item:    51 -- cmd: 0x67 -- length:    2 -- session key: 0x0001 -- target key: 0xffff -- second key: 0xffff -- "
    "result: 0xe7 -- tick: 697 -- hash: 2e395d1b706668737e1d2215813db47e\n";

// Published: what https://gist.github.com/karalabe/fb7ac43f3899f511b5547279c036bf4e shows of a device after its reset.
constexpr std::string_view reset =
    "0 unlogged boots found\n"
    "0 unlogged authentications found\n"
    "Found 2 items\n"
    "item:     1 -- cmd: 0xff -- length: 65535 -- session key: 0xffff -- target key: 0xffff -- second key: 0xffff -- "
    "result: 0xff -- tick: 4294967295 -- hash: 33012657537e4842f57fa6ed3b09b25b\n"
    "item:     2 -- cmd: 0x00 -- length:    0 -- session key: 0xffff -- target key: 0x0000 -- second key: 0x0000 -- "
    "result: 0x00 -- tick: 0 -- hash: fc153091560e18bca82621522c85bdba\n";

TEST(HsmLog, ReadsWhatWasPublishedOfDevicesAndFindsItsHashes) {
  for (const auto text : {documented, reset}) {
    const auto outputs = parse_hsm_log(text);
    ASSERT_TRUE(outputs) << outputs.error().detail;
    ASSERT_EQ(outputs->size(), 1U);
    const auto& entries = outputs->front().entries;
    for (std::size_t i = 1; i < entries.size(); ++i) {
      EXPECT_EQ(hash_text(entries[i].hash_behind(entries[i - 1].hash)), hash_text(entries[i].hash));
      EXPECT_FALSE(entries[i].begins_log());
    }
    EXPECT_EQ(entries.front().begins_log(), text == reset);
  }
}

TEST(HsmLog, ReadsEveryMember) {
  const auto item = documented.substr(documented.find("item: "));
  const auto outputs =
      parse_hsm_log(fmt::format("3 unlogged boots found\n65535 unlogged authentications found\nFound 1 item\n{}",
                                item.substr(0, item.find('\n') + 1)));
  ASSERT_TRUE(outputs) << outputs.error().detail;
  EXPECT_EQ(outputs->front().unlogged_boots, 3);
  EXPECT_EQ(outputs->front().unlogged_authentications, 65535);
  const auto& entry = outputs->front().entries.at(0);
  EXPECT_EQ(entry.number, 46);
  EXPECT_EQ(entry.command, 0x4b);
  EXPECT_EQ(entry.length, 234);
  EXPECT_EQ(entry.session_key, 1);
  EXPECT_EQ(entry.target, 0xcf94);
  EXPECT_EQ(entry.second, 0x997e);
  EXPECT_EQ(entry.result, 0xcb);
  EXPECT_EQ(entry.tick, 335725U);
  EXPECT_EQ(hash_text(entry.hash), "415f51f1f035a1b713e730e4464e4033");
}

TEST(HsmLog, ReadsOutputsOneAfterTheOther) {
  HsmLogText log;
  log.sign(0x101, 70);
  const auto outputs = parse_hsm_log(log.output(0, 64) + log.output(64, 0) + log.output(64, 1) + log.output(65, 6));
  ASSERT_TRUE(outputs) << outputs.error().detail;
  ASSERT_EQ(outputs->size(), 4U);
  EXPECT_EQ(outputs->at(0).entries.size(), 64U);
  EXPECT_EQ(outputs->at(1).entries.size(), 0U);
  EXPECT_EQ(outputs->at(2).entries.size(), 1U);
  EXPECT_EQ(outputs->at(3).entries.back().number, 71);
}

TEST(HsmLog, TakesNothingElse) {
  HsmLogText log;
  log.sign(0x101, 70);
  const auto good = log.output(0, 2);
  const auto with = [&good](std::string_view old, std::string_view other) {
    auto text = good;
    return text.replace(text.find(old), old.size(), other);
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "line 1: expected \"N unlogged boots found\", found nothing"},
      {"Created session 0\n" + good, "line 1: expected"},
      {with("0 unlogged boots", "00 unlogged boots"), "line 1: expected"},
      {with("0 unlogged boots", "65536 unlogged boots"), "line 1: expected"},
      {with("0 unlogged authentications", "-1 unlogged authentications"), "line 2: expected"},
      {with("Found 2 items", "Found 3 items"), "line 6: expected an entry"},
      {with("Found 2 items", "Found 1 items"), "line 3: expected"},
      {with("Found 2 items", "Found 1 item"), "line 5: expected \"N unlogged boots found\""},
      {log.output(0, 65), "line 3: expected \"Found N items\", at most 64"},
      {with("item:     1", "item:    1"), "line 4: expected an entry"},
      {with("item:     1", "item: 00001"), "line 4: expected an entry"},
      {with("item:     1", "item: 65537"), "line 4: expected an entry"},
      {with("cmd: 0x56", "cmd: 0x156"), "line 5: expected an entry"},
      {with("target key: 0x0101", "target key: 0x101"), "line 5: expected an entry"},
      {with("target key: 0x0101", "second key: 0x0101"), "line 5: expected an entry"},
      {with("tick: 7", "tick: 4294967296"), "line 5: expected an entry"},
      {with("hash: aa", "hash: AA"), "line 4: expected an entry"},
      {with("hash: aa", "hash: "), "line 4: expected an entry"},
      {with(" -- cmd: 0x56", "\x1b[1m -- cmd: 0x56"), "found characters that are not printable ASCII"},
      {good + "\n", "line 6: expected"},
      {good.substr(0, good.size() - 1), "line 5: expected an entry (\"item: ...\"), found nothing, or a line that"},
  };
  ASSERT_TRUE(parse_hsm_log(good));
  for (const auto& [text, expected] : cases) {
    const auto outputs = parse_hsm_log(text);
    ASSERT_FALSE(outputs) << text;
    EXPECT_EQ(outputs.error().reason, "hsm-log-malformed");
    EXPECT_THAT(outputs.error().detail, AllOf(StartsWith("line "), HasSubstr(expected)));
  }
}

}  // namespace
}  // namespace avseal::audit::test
