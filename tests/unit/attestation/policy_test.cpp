#include "attestation/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/attestation/maker.hpp"

namespace avseal::attestation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::policy;

TEST(PolicyTest, ShortestProfileIsTheStrictOne) {
  const Policy shortest = policy();
  EXPECT_EQ(shortest.name, "test");
  EXPECT_FALSE(shortest.test);
  EXPECT_EQ(shortest.mode, Mode::enforce);
  EXPECT_THAT(shortest.binding, ElementsAre(Binding::manifest));
  EXPECT_EQ(shortest.ek_types.size(), 3U);
  EXPECT_FALSE(shortest.expired_once_enrolled);
  EXPECT_THAT(shortest.ak_attributes, ElementsAre(0x50472U));
  EXPECT_THAT(shortest.key_attributes, ElementsAre(0x40472U));
  EXPECT_THAT(shortest.parent_attributes, ElementsAre(0x30472U));
  EXPECT_FALSE(shortest.quote_required);
  EXPECT_TRUE(shortest.pcrs.empty());
  EXPECT_EQ(shortest.certificate_lifetime, 86400);
  EXPECT_TRUE(shortest.archives(Artifact::ek_certificate));
}

TEST(PolicyTest, EveryMemberIsRead) {
  const auto full = Policy::parse(R"(
name = "production"
test = true
mode = "monitor"
binding = ["platform-certificate", "manifest"]
certificate_lifetime = 7200
ak_max_age = 86400
archive = ["certify", "request"]
[ek]
types = ["p-256"]
vendors = ["id:53544D20"]
expired = "first-only"
revocation = "required"
[keys]
ak = [0x50472, 0x50072]
ue = [0x40472]
parent = [0x30072]
[quote]
required = false
pcrs = [7, 0, 2]
[[deny]]
vendor = "id:49465800"
model = "SLB 9670"
firmware_below = "7.85.0.0"
)",
                                  "p.toml");
  ASSERT_TRUE(full) << full.error().detail;
  EXPECT_TRUE(full->test);
  EXPECT_EQ(full->mode, Mode::monitor);
  EXPECT_THAT(full->binding, ElementsAre(Binding::platform_certificate, Binding::manifest));
  EXPECT_EQ(full->certificate_lifetime, 7200);
  EXPECT_EQ(full->ak_max_age, 86400);
  EXPECT_TRUE(full->archives(Artifact::certify));
  EXPECT_FALSE(full->archives(Artifact::ek_certificate));
  EXPECT_THAT(full->ek_types, ElementsAre(EkType::p256));
  EXPECT_THAT(full->ek_vendors, ElementsAre("id:53544D20"));
  EXPECT_TRUE(full->expired_once_enrolled);
  EXPECT_TRUE(full->revocation_required);
  EXPECT_THAT(full->ak_attributes, ElementsAre(0x50072U, 0x50472U));
  EXPECT_FALSE(full->quote_required);
  EXPECT_THAT(full->pcrs, ElementsAre(0, 2, 7));
  EXPECT_EQ(full->denials.size(), 1U);
}

TEST(PolicyTest, MistakesAreSaidWithTheirLine) {
  for (const char* line : {"binding = []",
                           "binding = [\"manifest\", \"manifest\"]",
                           "binding = [\"trust-me\"]",
                           "test = 1",
                           "mode = \"off\"",
                           "certificate_lifetime = 60",
                           "ak_max_age = 1",
                           "archive = [\"everything\"]",
                           "unknown = 1",
                           "ek = 1",
                           "ek.types = []",
                           "ek.types = [\"rsa-4096\"]",
                           "ek.vendors = [\"53544D20\"]",
                           "ek.vendors = [\"id:53544d20\"]",
                           "ek.expired = \"ignore\"",
                           "ek.revocation = \"no\"",
                           "keys.ak = []",
                           "keys.ak = [0x40472]",  // not restricted
                           "keys.ue = [0x40460]",  // duplicable
                           "keys.ue = [0x50472]",
                           "keys.ue = [0x40072, 0x40072]",
                           "keys.parent = [0x30470]",
                           "keys.tpm = []",
                           "quote.pcrs = []",
                           "quote.pcrs = [24]",
                           "quote.pcrs = [-1]",
                           "quote.pcrs = [1, 1]",
                           "quote.pcrs = [\"1\"]",
                           "quote.required = true",
                           "deny = [1]",
                           "deny = [{}]",
                           "deny = [{vendor = \"ST\"}]",
                           "deny = [{model = \"x\", firmware_below = \"7.85\"}]",
                           "deny = [{model = \"x\", firmware_below = \"1.2.3.65536\"}]",
                           "deny = [{model = \"x\", firmware_below = \"1.2.3.4.\"}]",
                           "deny = [{model = \"x\", more = 1}]"}) {
    const bool own_binding = std::string_view(line).starts_with("binding");
    const auto parsed = Policy::parse(
        std::string("name = \"p\"\n") + (own_binding ? "" : "binding = [\"manifest\"]\n") + line, "p.toml");
    ASSERT_FALSE(parsed) << line;
    EXPECT_EQ(parsed.error().reason, "configuration-invalid") << line;
    EXPECT_THAT(parsed.error().detail, HasSubstr("p.toml:")) << line;
  }
  EXPECT_FALSE(Policy::parse("name = \"p\"", "p.toml")) << "no binding";
  EXPECT_FALSE(Policy::parse("binding = [\"manifest\"]", "p.toml")) << "no name";
}

TEST(PolicyTest, SoftwareTpmsNeedATestProfile) {
  for (const char* vendor : {"id:00001014", "id:49424D00", "id:564D5700", "id:474F4F47", "id:414D5A4E"}) {
    const TpmIdentity swtpm{vendor, "swtpm", "id:20191023"};
    EXPECT_EQ(policy().check_vendor(swtpm).error().reason, "ek-vendor-refused");
    EXPECT_EQ(policy("ek.vendors = [\"" + std::string(vendor) + "\"]").check_vendor(swtpm).error().reason,
              "ek-vendor-refused")
        << "a list of vendors does not admit it";
    EXPECT_TRUE(policy("test = true").check_vendor(swtpm));
  }
}

TEST(PolicyTest, VendorsAreThoseOfTheList) {
  const Policy listing = policy("ek.vendors = [\"id:53544D20\"]");
  EXPECT_TRUE(listing.check_vendor({"id:53544D20", "ST33", "id:1"}));
  EXPECT_EQ(listing.check_vendor({"id:4E544300", "NPCT", "id:1"}).error().reason, "ek-vendor-refused");
  EXPECT_TRUE(policy().check_vendor({"id:4E544300", "NPCT", "id:1"}));
}

TEST(PolicyTest, DenialsHaveTheReasonOfWhatTheyName) {
  const Policy denying = policy(R"(
[[deny]]
vendor = "id:4E544300"
[[deny]]
vendor = "id:49465800"
model = "SLB 9655"
[[deny]]
vendor = "id:49465800"
model = "SLB 9670"
firmware_below = "7.85.0.0"
)");
  EXPECT_EQ(denying.check_denials({"id:4E544300", "NPCT", "id:1"}).error().reason, "ek-vendor-refused");
  EXPECT_EQ(denying.check_denials({"id:49465800", "SLB 9655", "id:1"}).error().reason, "device-model-refused");
  const TpmIdentity slb{"id:49465800", "SLB 9670", "id:1"};
  EXPECT_TRUE(denying.check_denials(slb));
  EXPECT_EQ(denying.check_firmware(slb, 0x0007005400FF00FF).error().reason, "device-firmware-refused");
  EXPECT_TRUE(denying.check_firmware(slb, 0x0007005500000000));
  EXPECT_TRUE(denying.check_firmware({"id:49465800", "SLB 9672", "id:1"}, 0));
}

TEST(FindingsTest, MonitorKeepsWhatEnforceRefuses) {
  const Error error = errors::make(Category::forbidden, "some-policy", "");
  Findings enforcing(Mode::enforce);
  EXPECT_EQ(enforcing.judge(error).error().reason, "some-policy");
  EXPECT_TRUE(enforcing.judge({}));
  Findings monitoring(Mode::monitor);
  EXPECT_TRUE(monitoring.judge(error));
  EXPECT_TRUE(monitoring.judge({}));
  ASSERT_EQ(monitoring.all().size(), 1U);
  EXPECT_EQ(monitoring.all()[0].reason, "some-policy");
}

}  // namespace
}  // namespace avseal::attestation
