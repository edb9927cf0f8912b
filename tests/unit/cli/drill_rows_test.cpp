#include "cli/drill_rows.hpp"

#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/faults/module/rules.hpp"

namespace avseal::cli {
namespace {

TEST(DrillRows, AreRulesOfTheFaultModule) {
  std::set<std::string_view> names;
  for (const DrillRow& row : drill_rows()) {
    std::string text;
    for (const std::string& rule : rules_of(row)) text += fmt::format("x{} {}\n", text.size(), rule);
    const auto rules = faults::parse_rules(text);
    EXPECT_TRUE(rules) << row.name << ": " << rules.error().detail;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

DrillOutcome outcome(std::map<unsigned, std::uint64_t> statuses, std::uint64_t lost = 0) {
  DrillOutcome made;
  made.struck = made.recovered = true;
  for (const auto& [status, count] : statuses) made.load.sent += count;
  made.load.sent += lost;
  made.load.statuses = std::move(statuses);
  return made;
}

bool passes(DrillOutcome judged, bool replicas) {
  judge(judged, replicas);
  EXPECT_EQ(judged.passed, judged.why_not.empty());
  return judged.passed;
}

TEST(DrillRows, WithReplicasNoRequestMayFail) {
  EXPECT_TRUE(passes(outcome({{200, 10}}), true));
  EXPECT_FALSE(passes(outcome({{200, 10}, {503, 1}}), true));
  EXPECT_FALSE(passes(outcome({{200, 10}}, 1), true));
}

TEST(DrillRows, ASingleTokensRequestsMayOnlyBeUnavailable) {
  EXPECT_TRUE(passes(outcome({{200, 10}, {503, 4}}), false));
  EXPECT_FALSE(passes(outcome({{200, 10}, {500, 1}}), false));
  EXPECT_FALSE(passes(outcome({{200, 10}}, 1), false));
  EXPECT_FALSE(passes(outcome({{503, 4}}), false));
}

TEST(DrillRows, AFaultMustHappenAndPass) {
  DrillOutcome never = outcome({{200, 10}});
  never.struck = false;
  EXPECT_FALSE(passes(never, true));
  DrillOutcome lasting = outcome({{200, 10}});
  lasting.recovered = false;
  EXPECT_FALSE(passes(lasting, true));
}

TEST(DrillRows, AreCounted) {
  DrillOutcome judged = outcome({{200, 10}, {503, 2}}, 3);
  judge(judged, false);
  EXPECT_EQ(judged.answered, 10U);
  EXPECT_EQ(judged.failed, 5U);
}

}  // namespace
}  // namespace avseal::cli
