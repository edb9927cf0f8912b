#include "keyring/keys.hpp"

#include <gmock/gmock.h>

#include "keyring/certificate_rules.hpp"
#include "support.hpp"

namespace avseal::keyring {
namespace {

using testing::CertificateOptions;
using ::testing::HasSubstr;
using testing::SoftKey;

class KeysTest : public ::testing::Test {
 protected:
  KeyConfig configured(const std::string& name, KeyKind kind, const std::string& pem) {
    const auto file = dir / (name + ".pem");
    testing::write_file(file, pem);
    return {name, kind, file, {"hsm"}, true};
  }
  static Result<std::shared_ptr<const Keys>> load(const std::vector<KeyConfig>& configs) {
    return Keys::load(configs, to_unix(system_clock_now()));
  }
  static void expect_refused(const std::vector<KeyConfig>& configs, std::string_view reason, const std::string& says) {
    const auto loaded = load(configs);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().reason, reason);
    EXPECT_THAT(loaded.error().detail, HasSubstr(says));
  }
  void expect_unsuitable(KeyKind kind, const CertificateOptions& options, const std::string& says) {
    expect_refused({configured("k", kind, key.certificate_pem(options))}, "certificate-unsuitable", says);
  }

  testing::TempDir dir;
  SoftKey key;
  SoftKey other;
};

TEST_F(KeysTest, KindsHaveNames) {
  for (const auto kind : {KeyKind::avatar_id, KeyKind::avatar_metadata, KeyKind::access_token, KeyKind::ue_ca,
                          KeyKind::ledger, KeyKind::dac_kek}) {
    EXPECT_EQ(parse_key_kind(to_string(kind)).value(), kind);
  }
  EXPECT_EQ(parse_key_kind("Avatar-id").error().reason, "key-kind-unknown");
}

TEST_F(KeysTest, LoadsKeysAndFindsThem) {
  auto old = configured("old", KeyKind::avatar_id, other.certificate_pem());
  old.primary = false;
  const auto keys = load({old,
                          configured("new", KeyKind::avatar_id, key.certificate_pem()),
                          {"kek", KeyKind::dac_kek, {}, {"hsm"}, true}});
  ASSERT_TRUE(keys) << keys.error().detail;
  ASSERT_EQ((*keys)->all().size(), 2U);
  const auto primary = (*keys)->primary(KeyKind::avatar_id).value();
  EXPECT_EQ(primary->name, "new");
  EXPECT_EQ(primary->kid, key.public_key().thumbprint());
  EXPECT_EQ(primary->certificate().public_key(), key.public_key());
  EXPECT_EQ((*keys)->find_kid(other.public_key().thumbprint())->name, "old");
  EXPECT_EQ((*keys)->find_kid("nobody's"), nullptr);
  EXPECT_EQ((*keys)->primary(KeyKind::ue_ca).error().reason, "key-not-configured");
  EXPECT_EQ((*keys)->primary(KeyKind::dac_kek).error().reason, "key-not-configured");
}

TEST_F(KeysTest, LedgerMayHaveABarePublicKey) {
  const auto keys = load({configured("log", KeyKind::ledger, key.public_pem())});
  ASSERT_TRUE(keys) << keys.error().detail;
  EXPECT_TRUE((*keys)->all().front().chain.empty());
  EXPECT_EQ((*keys)->all().front().public_key, key.public_key());
  expect_refused({configured("id", KeyKind::avatar_id, key.public_pem())}, "certificate-malformed", "id.pem");
}

TEST_F(KeysTest, UnreadableFilesAreNamed) {
  expect_refused({{"k", KeyKind::avatar_id, dir / "absent.pem", {"hsm"}, true}}, "certificate-unreadable",
                 "absent.pem");
  expect_refused({configured("big", KeyKind::avatar_id, std::string(70'000, 'x'))}, "certificate-unreadable", "64 KiB");
  expect_refused({configured("text", KeyKind::avatar_id, "no PEM")}, "certificate-malformed", "text.pem");
}

TEST_F(KeysTest, OnlyPrimariesMustBeValidNow) {
  CertificateOptions past;
  past.valid_from = -7200;
  past.valid_to = -3600;
  auto config = configured("k", KeyKind::avatar_id, key.certificate_pem(past));
  expect_refused({config}, "certificate-expired", "k.pem");
  EXPECT_TRUE(check_keys({config})) << "who does not know the primary yet";
  config.certificate = dir / "absent.pem";
  EXPECT_EQ(check_keys({config}).error().reason, "certificate-unreadable");
  CertificateOptions future;
  future.valid_from = 3600;
  future.valid_to = 7200;
  expect_refused({configured("k", KeyKind::avatar_id, key.certificate_pem(future))}, "certificate-not-yet-valid",
                 "clock");
  config = configured("k", KeyKind::avatar_id, key.certificate_pem(past));
  config.primary = false;
  const auto keys = load({config, configured("new", KeyKind::avatar_id, other.certificate_pem())});
  EXPECT_TRUE(keys) << keys.error().detail;
}

TEST_F(KeysTest, CertificatesMustSuitTheKind) {
  expect_unsuitable(KeyKind::avatar_id, {.ca = true}, "CA certificate");
  expect_unsuitable(KeyKind::avatar_metadata, {.digital_signature = false}, "digitalSignature");
  expect_unsuitable(KeyKind::access_token, {.ue_eku = true}, "UE extended key usage");
  expect_unsuitable(KeyKind::ue_ca, {}, "needs a CA certificate");
  const auto ca = load({configured("ca", KeyKind::ue_ca, key.certificate_pem({.ca = true}))});
  EXPECT_TRUE(ca) << ca.error().detail;
}

TEST_F(KeysTest, ContradictionsStopTheStart) {
  const auto one = configured("one", KeyKind::avatar_id, key.certificate_pem());
  auto two = configured("two", KeyKind::avatar_id, other.certificate_pem());
  expect_refused({one, two}, "key-configuration", "2 keys of kind avatar-id are primary");
  expect_refused({one, one}, "key-configuration", "two keys are named 'one'");
  two.primary = false;
  expect_refused({two}, "key-configuration", "0 keys of kind avatar-id are primary");
  expect_refused({one, configured("copy", KeyKind::access_token, key.certificate_pem())}, "key-configuration",
                 "'one' and 'copy' have the same public key");
  expect_refused({{"", KeyKind::dac_kek, {}, {"hsm"}, true}}, "key-configuration", "no name");
  expect_refused({{"k", KeyKind::dac_kek, {}, {}, true}}, "key-configuration", "no token");
  expect_refused({{"k", KeyKind::avatar_id, {}, {"hsm"}, true}}, "key-configuration", "no certificate");
  expect_refused({{"k", KeyKind::dac_kek, dir / "x", {"hsm"}, true}}, "key-configuration", "secret key");
}

}  // namespace
}  // namespace avseal::keyring
