#include "examples/mf/expectations.hpp"

#include <gtest/gtest.h>

#include "../support/temp_dir.hpp"

namespace avseal::mf {
namespace {

TEST(ExpectationsTest, OptionHoldsForEverySession) {
  const auto expectations = Expectations::from_option("urn:x:a,b,7");
  ASSERT_TRUE(expectations) << expectations.error().detail;
  const Expected expected = expectations->of("any").value();
  EXPECT_EQ(expected.avatar_id, "urn:x:a,b");
  EXPECT_EQ(expected.min_version, 7);
}

TEST(ExpectationsTest, MalformedOptionsAreRefused) {
  for (const char* text : {"", "a", "a,", "a,x", "a,1x", "a,0", "a,-1", ",1", "with space,1"}) {
    EXPECT_FALSE(Expectations::from_option(text)) << text;
  }
}

class ExpectationFileTest : public ::testing::Test {
 protected:
  void write(std::string_view text) const { directory_.write("e.json", text); }

  test::TempDir directory_;
};

TEST_F(ExpectationFileTest, IsReadAgainForEachSession) {
  const Expectations expectations = Expectations::from_file(directory_ / "e.json");
  EXPECT_EQ(expectations.of("s1").error().reason, "session-unknown");
  write(R"({"s1":{"avatar":"a","version":2}})");
  EXPECT_EQ(expectations.of("s1")->avatar_id, "a");
  EXPECT_EQ(expectations.of("s1")->min_version, 2);
  EXPECT_EQ(expectations.of("s2").error().reason, "session-unknown");
  write(R"({"s2":{"avatar":"b","version":1}})");
  EXPECT_EQ(expectations.of("s1").error().reason, "session-unknown");
  EXPECT_EQ(expectations.of("s2")->avatar_id, "b");
}

TEST_F(ExpectationFileTest, MalformedFilesAllowNothing) {
  const Expectations expectations = Expectations::from_file(directory_ / "e.json");
  for (const char* text : {"", "[]", "{", R"({"s1":{"avatar":"a"}})", R"({"s1":{"avatar":"a","version":0}})",
                           R"({"s1":{"avatar":"a","version":"1"}})", R"({"s1":{"avatar":"a","version":1,"x":1}})",
                           R"({"s1":{"avatar":"a","version":1},"s1":{"avatar":"b","version":1}})"}) {
    write(text);
    EXPECT_FALSE(expectations.of("s1")) << text;
  }
}

}  // namespace
}  // namespace avseal::mf
