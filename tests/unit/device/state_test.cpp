#include "device/state.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tpm/swtpm.hpp"
#include "tokens/base64.hpp"

namespace avseal::device {
namespace {

namespace fs = std::filesystem;
using test::TempDir;
using ::testing::HasSubstr;

DeviceState sample() {
  DeviceState state;
  state.srk_name = tokens::hex_decode("000b" + std::string(64, 'a')).value();
  state.ue_key_name = tokens::hex_decode("000b" + std::string(64, 'b')).value();
  state.srk_persistent = true;
  state.generation = 3;
  return state;
}

DeviceState enrolled_sample() {
  DeviceState state = sample();
  state.enrolled = Enrolled{.server = "https://op.example",
                            .impu = "sip:alice@a.example",
                            .device = std::string(64, 'd'),
                            .ek = "p-256",
                            .ak_unique = Bytes(32, 0xEE),
                            .ak_name = tokens::hex_decode("000b" + std::string(64, 'c')).value(),
                            .renew_after = 1'763'930'000};
  return state;
}

TEST(StateTest, RoundTripsAsCanonicalJson) {
  const std::string text = render_state(sample());
  EXPECT_EQ(text, "{\"srk\":{\"name\":\"000b" + std::string(64, 'a') +
                      "\",\"persistent\":true},\"ueKey\":{\"generation\":3,\"name\":\"000b" + std::string(64, 'b') +
                      "\"},\"version\":2}\n");
  const auto again = parse_state(text);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->srk_name, sample().srk_name);
  EXPECT_EQ(again->ue_key_name, sample().ue_key_name);
  EXPECT_EQ(again->generation, 3U);
  EXPECT_TRUE(again->srk_persistent);
  EXPECT_FALSE(again->enrolled.has_value());
}

TEST(StateTest, EnrollmentRoundTrips) {
  const std::string text = render_state(enrolled_sample());
  const auto again = parse_state(text);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(render_state(*again), text);
  EXPECT_EQ(again->enrolled->ak_unique, Bytes(32, 0xEE));
  EXPECT_EQ(again->enrolled->renew_after, 1'763'930'000);
}

TEST(StateTest, FirstVersionIsStillRead) {
  const auto state = parse_state("{\"srk\":{\"name\":\"000b" + std::string(64, 'a') +
                                 "\",\"persistent\":false},\"ueKey\":{\"name\":\"000b" + std::string(64, 'b') +
                                 "\"},\"version\":1}\n");
  ASSERT_TRUE(state) << state.error().detail;
  EXPECT_EQ(state->generation, 0U);
  EXPECT_FALSE(state->enrolled.has_value());
  EXPECT_EQ(files::key(state->generation), "ue-key.tpm");
  EXPECT_EQ(files::auth(0), "ue-key.auth");
  EXPECT_EQ(files::chain(7), "ue-cert-7.pem");
}

class BadStateTest : public ::testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(BadStateTest, IsRefused) {
  std::string text = render_state(enrolled_sample());
  const auto& [from, to] = GetParam();
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, from.size(), to);
  EXPECT_FALSE(parse_state(text)) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Edits, BadStateTest,
    ::testing::Values(std::pair{"\"version\":2", "\"version\":3"}, std::pair{"\"version\":2", "\"version\":1"},
                      std::pair{"\"version\":2", "\"version\":\"2\""}, std::pair{",\"version\":2", ""},
                      std::pair{"\"version\":2", "\"version\":2,\"more\":1"},
                      std::pair{"\"persistent\":true", "\"persistent\":1"}, std::pair{"000ba", "000ca"},
                      std::pair{"000baa", "000ba"}, std::pair{"000baa", "000bgg"}, std::pair{"000baa", "000b"},
                      std::pair{"\"ueKey\"", "\"srk\""}, std::pair{"}\n", "}\n{}"}, std::pair{"{", "["},
                      std::pair{"\"generation\":3,", ""}, std::pair{"\"generation\":3", "\"generation\":-1"},
                      std::pair{"\"generation\":3", "\"generation\":4294967296"}, std::pair{"\"ak\"", "\"aK\""},
                      std::pair{"eeee", "eee"}, std::pair{"dddd", "ddd"}, std::pair{"p-256", "p-255"},
                      std::pair{"sip:alice", "sip:ALICE@x;y"}, std::pair{"\"impu\"", "\"imp\""},
                      std::pair{"1763930000", "\"soon\""}, std::pair{"\"server\"", "\"serve\""}));

TEST(StateDirectoryTest, IsMadeClosedAndItsFilesToo) {
  const TempDir temp;
  const auto directory = StateDirectory::create(temp.path() / "ue");
  ASSERT_TRUE(directory);
  EXPECT_EQ(fs::status(temp.path() / "ue").permissions(), fs::perms::owner_all);
  ASSERT_TRUE(directory->write("f", as_bytes("content")));
  EXPECT_EQ(fs::status(temp.path() / "ue/f").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(as_text(directory->read("f", 100).value()), "content");
  EXPECT_TRUE(directory->has("f"));
  EXPECT_FALSE(directory->has("g"));
  EXPECT_FALSE(fs::exists(temp.path() / "ue/f.new"));
}

TEST(StateDirectoryTest, WriteReplacesAsAWhole) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path()).value();
  ASSERT_TRUE(directory.write("f", as_bytes("long content")));
  ASSERT_TRUE(directory.write("f", as_bytes("short")));
  EXPECT_EQ(as_text(directory.read("f", 100).value()), "short");
}

TEST(StateDirectoryTest, OpenToOthersIsRefused) {
  const TempDir temp;
  fs::permissions(temp.path(), fs::perms::group_read, fs::perm_options::add);
  const auto directory = StateDirectory::open(temp.path());
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().reason, "state-permissions");
  EXPECT_THAT(directory.error().detail, HasSubstr("chmod"));
}

TEST(StateDirectoryTest, FilesThatOthersMayReadAreRefused) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path()).value();
  ASSERT_TRUE(directory.write("f", as_bytes("x")));
  fs::permissions(temp.path() / "f", fs::perms::others_read, fs::perm_options::add);
  EXPECT_EQ(directory.read("f", 10).error().reason, "state-permissions");
}

TEST(StateDirectoryTest, OnlyRegularFilesOfBoundedSizeAreRead) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path()).value();
  ASSERT_TRUE(directory.write("f", as_bytes("12345")));
  EXPECT_TRUE(directory.read("f", 5));
  EXPECT_EQ(directory.read("f", 4).error().reason, "state-file-unusable");
  fs::create_symlink("f", temp.path() / "link");
  EXPECT_FALSE(directory.read("link", 10));
  ASSERT_EQ(::mkfifo((temp.path() / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(directory.read("pipe", 10));
  EXPECT_FALSE(directory.read("missing", 10));
}

TEST(StateDirectoryTest, MissingAndMisplacedDirectoriesAreSaid) {
  const TempDir temp;
  EXPECT_EQ(StateDirectory::open(temp.path() / "none").error().reason, "device-not-initialised");
  EXPECT_FALSE(StateDirectory::create(temp.path() / "none/deeper"));
  std::ofstream(temp.path() / "file") << "x";
  EXPECT_EQ(StateDirectory::open(temp.path() / "file").error().reason, "state-directory-unusable");
}

TEST(StateDirectoryTest, OneChangesItAtATime) {
  const TempDir temp;
  const auto directory = StateDirectory::open(temp.path()).value();
  {
    const auto first = directory.lock();
    ASSERT_TRUE(first);
    EXPECT_EQ(directory.lock().error().reason, "state-busy");
  }
  EXPECT_TRUE(directory.lock());
}

}  // namespace
}  // namespace avseal::device
