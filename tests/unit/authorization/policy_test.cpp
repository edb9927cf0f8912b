#include "authorization/policy.hpp"

#include <gtest/gtest.h>

namespace avseal::authorization {
namespace {

using tokens::Impu;

PolicyQuestion question(std::string_view impu = "sip:alice@a.example") {
  return {Impu::parse(impu).value(), "urn:avatar:1", "xr-meeting", "xr-as-1", 1'763'930'000};  // 2025-11-23T20:33:20Z
}

Policy policy(std::string_view rules) {
  return Policy::parse("version = 1\n" + std::string(rules), "policy.toml").value();
}

std::string reason_of(const Result<void>& result) {
  return result ? "granted" : std::string(result.error().reason);
}

TEST(Policy, DeniesByDefault) {
  EXPECT_EQ(reason_of(policy("").decide(question())), "policy-no-rule");
}

TEST(Policy, ADenyWinsOverEveryAllow) {
  const auto both = policy(R"(
[[rule]]
name = "all"
effect = "allow"
[[rule]]
name = "not this avatar"
effect = "deny"
avatars = ["urn:avatar:*"]
)");
  const auto decided = both.decide(question());
  EXPECT_EQ(reason_of(decided), "policy-denied");
  EXPECT_NE(decided.error().detail.find("not this avatar"), std::string::npos);
}

struct Case {
  const char* condition;
  const char* impu;
  bool granted;
};

class PolicyCondition : public testing::TestWithParam<Case> {};

TEST_P(PolicyCondition, DecidesAnAllowRule) {
  const auto& c = GetParam();
  const auto rules = policy(std::string("[[rule]]\nname = \"r\"\neffect = \"allow\"\n") + c.condition);
  EXPECT_EQ(reason_of(rules.decide(question(c.impu))), c.granted ? "granted" : "policy-no-rule")
      << c.condition << " " << c.impu;
}

constexpr auto alice = "sip:alice@a.example";
INSTANTIATE_TEST_SUITE_P(
    Table, PolicyCondition,
    testing::Values(
        Case{"", alice, true}, Case{"domains = [\"a.example\"]", alice, true},
        Case{"domains = [\"b.example\"]", alice, false}, Case{"domains = [\"b.example\", \"a.example\"]", alice, true},
        Case{"domains = [\"example\"]", alice, false}, Case{"domains = [\"tel\"]", alice, false},
        Case{"domains = [\"tel\"]", "tel:+17035550001", true},
        Case{"domains = [\"a.example\"]", "tel:+17035550001", false}, Case{"avatars = [\"urn:avatar:1\"]", alice, true},
        Case{"avatars = [\"urn:avatar:2\"]", alice, false}, Case{"avatars = [\"urn:avatar:*\"]", alice, true},
        Case{"avatars = [\"*\"]", alice, true}, Case{"avatars = [\"urn:*:2\"]", alice, false},
        Case{"applications = [\"xr-meeting\"]", alice, true}, Case{"applications = [\"games\"]", alice, false},
        Case{"xr_as = [\"xr-as-1\"]", alice, true}, Case{"xr_as = [\"xr-as-2\"]", alice, false},
        Case{"from = 2025-11-23T20:33:20Z", alice, true}, Case{"from = 2025-11-23T20:33:21Z", alice, false},
        Case{"until = 2025-11-23T20:33:20Z", alice, false}, Case{"until = 2025-11-23T21:33:21+01:00", alice, true},
        Case{"until = 2025-11-23T21:33:20+01:00", alice, false}, Case{"daily = \"20:33-20:34\"", alice, true},
        Case{"daily = \"20:34-20:33\"", alice, false}, Case{"daily = \"22:00-20:34\"", alice, true},
        Case{"daily = \"08:00-18:00\"", alice, false},
        Case{"domains = [\"a.example\"]\napplications = [\"games\"]", alice, false}));

class BadPolicy : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BadPolicy, IsRefusedWithFileAndLine) {
  const auto [text, place] = GetParam();
  const auto parsed = Policy::parse(text, "policy.toml");
  ASSERT_FALSE(parsed) << text;
  EXPECT_EQ(parsed.error().reason, "policy-unreadable");
  EXPECT_EQ(parsed.error().detail.substr(0, std::string_view(place).size()), place) << parsed.error().detail;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadPolicy,
    testing::Values(
        std::pair{"", "policy.toml:"}, std::pair{"version = 2", "policy.toml:"},
        std::pair{"version = 4e50", "policy.toml:"}, std::pair{"version = 1\nrule = 3", "policy.toml:2:"},
        std::pair{"version = 1\nrules = []", "policy.toml:2:"}, std::pair{"version = = 1", "policy.toml:1:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"", "policy.toml:2:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"maybe\"", "policy.toml:4:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\ndomain = [\"a\"]", "policy.toml:5:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\ndomains = []", "policy.toml:5:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\ndomains = [1]", "policy.toml:5:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nfrom = 2025-11-23", "policy.toml:5:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nfrom = 2025-11-23T00:00:00",
                  "policy.toml:5:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\ndaily = \"8:00-18:00\"", "policy.toml:5:"},
        std::pair{"version = 1\n[[rule]]\nname = \"r\"\neffect = \"allow\"\ndaily = \"08:00-24:00\"",
                  "policy.toml:5:"}));

TEST(Policy, MissingFileNamesThePath) {
  const auto loaded = Policy::load("/nonexistent/policy.toml");
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().detail.find("/nonexistent/policy.toml"), std::string::npos);
}

}  // namespace
}  // namespace avseal::authorization
