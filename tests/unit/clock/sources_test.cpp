#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clock/chrony.hpp"
#include "clock/kernel.hpp"
#include "clock/program.hpp"

namespace avseal::clock {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::string_view good =
    "D9C6C53C,217.198.197.60,3,1753460000.123456789,-0.000012345,0.000001234,0.000023456,-12.345,0.001,0.045,"
    "0.012345678,0.000987654,1036.2,Normal\n";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(good);
  return text.replace(text.find(from), from.size(), to);
}

TEST(ChronyTest, ReadsTracking) {
  const auto tracking = parse_tracking(good);
  ASSERT_TRUE(tracking) << tracking.error().detail;
  EXPECT_EQ(tracking->stratum, 3U);
  EXPECT_DOUBLE_EQ(tracking->offset, -0.000012345);
  EXPECT_DOUBLE_EQ(tracking->root_delay, 0.012345678);
  EXPECT_DOUBLE_EQ(tracking->root_dispersion, 0.000987654);
  EXPECT_EQ(tracking->leap_status, "Normal");
  EXPECT_TRUE(judge_chrony(*tracking));
}

TEST(ChronyTest, RefusesOtherText) {
  for (const auto& text :
       {std::string(), std::string("506 Cannot talk to daemon\n"), std::string(good.substr(0, good.size() - 1)),
        std::string(good) + std::string(good), replaced(",3,", ",three,"), replaced(",3,", ",-3,"),
        replaced("Normal", "Fine"), replaced("0.012345678", "nan"), replaced("0.012345678", "inf"),
        replaced("0.012345678", "0.1 "), replaced(",Normal", ""), replaced(",Normal", ",Normal,"),
        std::string(2000, 'x') + "\n"}) {
    ASSERT_TRUE(parse_tracking(text).has_error()) << text;
    EXPECT_EQ(parse_tracking(text).error().reason, "chrony-answer-malformed");
  }
}

TEST(ChronyTest, SaysWhyItIsNotSynchronised) {
  for (const auto& [from, to] : {std::pair{"Normal", "Not synchronised"},
                                 {",3,", ",0,"},
                                 {",3,", ",16,"},
                                 {"0.000987654", "1.5"},
                                 {"-0.000012345", "-3.0"},
                                 {"0.012345678", "2.5"}}) {
    const auto tracking = parse_tracking(replaced(from, to));
    ASSERT_TRUE(tracking) << to;
    ASSERT_TRUE(judge_chrony(*tracking).has_error()) << to;
    EXPECT_EQ(judge_chrony(*tracking).error().reason, "clock-unsynchronised");
  }
}

TEST(KernelTest, JudgesWhatAdjtimexSays) {
  timex told{};
  told.maxerror = 20'000;
  EXPECT_TRUE(judge_kernel(TIME_OK, told));
  EXPECT_TRUE(judge_kernel(TIME_INS, told)) << "a leap second is announced";
  EXPECT_FALSE(judge_kernel(TIME_ERROR, told));
  told.maxerror = 1'000'001;
  EXPECT_THAT(judge_kernel(TIME_OK, told).error().detail, HasSubstr("1.0 s"));
  told.maxerror = 20'000;
  told.status = STA_UNSYNC;
  EXPECT_FALSE(judge_kernel(TIME_OK, told));
}

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/avseal-clock-XXXXXX";
    directory = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  [[nodiscard]] std::filesystem::path script(std::string_view text) const {
    const auto path = directory / "chronyc";
    std::ofstream(path) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  std::filesystem::path directory;
};

TEST_F(ProgramTest, ChronycIsAsked) {
  const auto path =
      script("[ \"$*\" = '-n -c tracking' ] && echo '" + std::string(good.substr(0, good.size() - 1)) + "'");
  const auto asked = ask_chrony(path);
  EXPECT_TRUE(asked) << asked.error().detail;
}

TEST_F(ProgramTest, FailureIsAnError) {
  EXPECT_THAT(ask_chrony(script("echo no >&2; exit 1")).error().detail, HasSubstr("code 1"));
  EXPECT_EQ(ask_chrony(directory / "nowhere").error().reason, "program-failed");
}

TEST_F(ProgramTest, ItsTimeAndItsOutputAreBounded) {
  const auto reason = [&](std::string_view text) {
    const auto done = run_program({script(text).string()}, 200ms, 100);
    return done ? "" : done.error().reason;
  };
  EXPECT_EQ(reason("exec sleep 1000"), "program-failed");
  EXPECT_EQ(reason("exec >&-; exec sleep 1000"), "program-failed") << "it closed its output and stays";
  EXPECT_EQ(reason("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxx; done"), "program-failed");
}

TEST_F(ProgramTest, GetsNoDescriptorOfOurs) {
  const auto listed = run_program({script("exec ls /proc/self/fd").string()}, 10s, 1000);
  ASSERT_TRUE(listed) << listed.error().detail;
  EXPECT_EQ(*listed, "0\n1\n2\n3\n") << "3 is ls's own";
}

}  // namespace
}  // namespace avseal::clock
