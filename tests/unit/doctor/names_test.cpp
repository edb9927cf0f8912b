// A client's scope against the certificate's names and numbers.
#include <gtest/gtest.h>

#include "../signing/pki.hpp"
#include "cli/doctor/checks.hpp"

namespace avseal::doctor {
namespace {

constexpr UnixSeconds now = 1'763'930'000;

using Ranges = std::vector<http::NumberRange>;

// The certificate has dNSName a.example, and ten numbers from 17035550000.
class Names : public testing::Test {
 protected:
  Names() {
    const auto authority = test::Authority::create("stir", now);
    keyring::KeyConfig key;
    key.name = "avatar-id";
    key.certificate =
        directory.write("avatar-id.pem", authority.issue(test::signer_subject(now), test::make_key()).pem());
    site.config.emplace();
    site.config->keyring.keys.push_back(key);
  }
  Findings check(std::vector<std::string> domains, Ranges numbers) {
    http::ClientEntry entry;
    entry.client.id = "ims";
    entry.client.role = http::ClientRole::ims_as;
    entry.client.domains = std::move(domains);
    entry.client.numbers = std::move(numbers);
    site.config->clients = {entry};
    Findings findings;
    check_names(site, findings);
    return findings;
  }
  std::string id(std::vector<std::string> domains, Ranges numbers) {
    const auto findings = check(std::move(domains), std::move(numbers));
    std::string out;
    for (const auto& finding : findings.all()) out += (out.empty() ? "" : " ") + finding.id;
    return out;
  }

  test::TempDir directory;
  Site site;
};

TEST_F(Names, WithinTheCertificateAreFine) {
  EXPECT_EQ(id({"a.example"}, {{"17035550000", "17035550009"}}), "names");
  EXPECT_EQ(id({}, {{"17035550003", "17035550003"}}), "names");
  EXPECT_EQ(id({}, {}), "names");
}

TEST_F(Names, BeyondTheCertificateAreTold) {
  EXPECT_EQ(id({"a.example", "b.example"}, {}), "names-domain");
  EXPECT_EQ(id({"sub.a.example"}, {}), "names-domain");
  EXPECT_EQ(id({"a.example"}, {{"17035550000", "17035550010"}}), "names-number");
  EXPECT_EQ(id({}, {{"17035549999", "17035550001"}}), "names-number");
  EXPECT_EQ(id({}, {{"1703555000", "1703555009"}}), "names-number");
  EXPECT_EQ(id({"b.example"}, {{"4930", "4939"}}), "names-domain names-number");
}

TEST_F(Names, TheFirstMissingNumberIsNamed) {
  const auto findings = check({}, {{"17035550005", "17035550020"}});
  EXPECT_NE(findings.all().front().found.find("17035550010 of 17035550005-17035550020"), std::string::npos)
      << findings.all().front().found;
}

TEST_F(Names, OfOtherClientsDoNotMatter) {
  check({"b.example"}, {});
  site.config->clients.front().client.role = http::ClientRole::feeder;
  Findings findings;
  check_names(site, findings);
  EXPECT_TRUE(findings.all().empty());
}

}  // namespace
}  // namespace avseal::doctor
