#include "findings/report.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace avseal::doctor {
namespace {

Report report() {
  Report out;
  out.kind = "config";
  out.subject = "avseald.toml";
  out.time = 1'763'930'000;
  return out;
}

TEST(Report, ExitCodeIsTheWorst) {
  Findings findings;
  EXPECT_EQ(exit_code(findings), 0);
  findings.ok("a", "s", "f");
  findings.note("b", "s", "f");
  EXPECT_EQ(exit_code(findings), 0);
  findings.warning("c", "s", "f", "e", "d");
  EXPECT_EQ(exit_code(findings), 1);
  findings.error("d", "s", "f", "e", "d");
  findings.ok("e", "s", "f");
  EXPECT_EQ(exit_code(findings), 2);
  EXPECT_EQ(findings.worst(), Severity::error);
}

TEST(Report, AnErrorsReasonIsTheId) {
  Findings findings;
  findings.error(errors::make(Category::unavailable, "token-not-present", "no token"), "hsm", "one", "plug it in");
  const auto& finding = findings.all().front();
  EXPECT_EQ(finding.id, "token-not-present");
  EXPECT_EQ(finding.found, "no token");
  EXPECT_EQ(finding.severity, Severity::error);
}

TEST(Report, TextEndsWithTheWorst) {
  auto r = report();
  r.findings.error("pin-locked", "hsm", "locked", "not", "ask");
  r.findings.ok("token", "hsm", "fine");
  r.findings.warning("clock-trusted", "clock", "trusted", "watched", "run chrony");
  const auto text = as_text(r);
  EXPECT_LT(text.find("ok "), text.find("warning "));
  EXPECT_LT(text.find("warning "), text.find("error "));
  EXPECT_NE(text.find("         do        ask\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("avseald.toml: 1 error, 1 warning, 0 notes, 1 fine\n")) << text;
}

TEST(Report, JsonHasWhatProgramsNeed) {
  auto r = report();
  r.findings.note("token", "hsm \"a\"", "SoftHSM");
  r.findings.warning("clock-trusted", "clock", "trusted", "watched", "run chrony");
  EXPECT_EQ(
      as_json(r),
      R"({"config":"avseald.toml","findings":[)"
      R"({"action":"","expected":"","found":"SoftHSM","id":"token","severity":"note","subject":"hsm \"a\""},)"
      R"({"action":"run chrony","expected":"watched","found":"trusted","id":"clock-trusted","severity":"warning",)"
      R"("subject":"clock"}],"severity":"warning","summary":{"error":0,"note":1,"ok":0,"warning":1},)"
      R"("time":"2025-11-23T20:33:20Z","version":1})"
      "\n");
}

}  // namespace
}  // namespace avseal::doctor
