// The worker's parts without its process: key rules, configuration, peers, rate, watchdog.
#include <future>
#include <unistd.h>

#include "tokend/config.hpp"
#include "tokend/key_rules.hpp"
#include "tokend/listener.hpp"
#include "tokend/rate.hpp"
#include "tokend/watchdog.hpp"
#include "worker.hpp"

namespace avseal::tokend {
namespace {

using pkcs11::KeyKind;

KeyRule rule_of(KeyKind kind) {
  KeyRule rule;
  rule.kind = kind;
  rule.origin = "test.example/node";
  return rule;
}

bool signs(KeyKind kind, std::string_view input) {
  const auto checked = check_input(rule_of(kind), as_bytes(input));
  if (!checked) {
    EXPECT_EQ(checked.error().reason, "not-of-key-kind");
  }
  return checked.has_value();
}

TEST(KeyRule, PassportHeadersAreExact) {
  for (const char* ppt : {"avatar", "shaken", "div"}) {
    EXPECT_TRUE(signs(KeyKind::avatar_id, jws_input(std::string(R"({"alg":"ES256","ppt":")") + ppt +
                                                    R"(","typ":"passport","x5u":"https://a/b"})")));
  }
  for (const char* header :
       {R"({"alg":"ES256","ppt":"rph","typ":"passport","x5u":"u"})", R"({"alg":"ES256","typ":"passport","x5u":"u"})",
        R"({"alg":"ES384","ppt":"avatar","typ":"passport","x5u":"u"})",
        R"({"alg":"none","ppt":"avatar","typ":"passport","x5u":"u"})",
        R"({"alg":"ES256","ppt":"avatar","typ":"PASSporT","x5u":"u"})",
        R"({"alg":"ES256","ppt":"avatar","typ":"passport","x5u":1})",
        R"({"alg":"ES256","b64":false,"ppt":"avatar","typ":"passport","x5u":"u"})",
        R"({"alg":"ES256","ppt":"avatar","ppt":"avatar","typ":"passport","x5u":"u"})", "[]", "", "{}"}) {
    EXPECT_FALSE(signs(KeyKind::avatar_id, jws_input(header))) << header;
  }
}

TEST(KeyRule, SigningInputsAreTwoStrictParts) {
  const std::string good = jws_input(access_header);
  EXPECT_TRUE(signs(KeyKind::access_token, good));
  for (const std::string& input :
       {good + ".", good + ".AA", "." + good, good.substr(0, good.find('.')), good + "=", good + "\n",
        jws_input(access_header, "{}"), jws_input(access_header, "[1]"), jws_input(access_header, "x")}) {
    EXPECT_FALSE(signs(KeyKind::access_token, input)) << input;
  }
}

TEST(KeyRule, EachTypIsSignedByItsKindOnly) {
  EXPECT_TRUE(signs(KeyKind::avatar_metadata, jws_input(metadata_header)));
  EXPECT_FALSE(signs(KeyKind::avatar_metadata, jws_input(access_header)));
  EXPECT_FALSE(signs(KeyKind::access_token, jws_input(metadata_header)));
  EXPECT_FALSE(signs(KeyKind::access_token, jws_input(R"({"alg":"ES256","kid":"k","typ":"AT+JWT"})")));
  EXPECT_FALSE(signs(KeyKind::access_token, jws_input(R"({"alg":"ES256","kid":1,"typ":"at+jwt"})")));
  EXPECT_FALSE(signs(KeyKind::access_token, jws_input(R"({"alg":"ES256","jwk":{},"kid":"k","typ":"at+jwt"})")));
}

TEST(KeyRule, CheckpointsAreOfTheOriginInAYear) {
  const std::string hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
  const std::string origin = "test.example/node/2026\n";
  EXPECT_TRUE(signs(KeyKind::ledger, origin + "0\n" + hash));
  EXPECT_TRUE(signs(KeyKind::ledger, "test.example/node/2027\n12\n" + hash));
  for (const std::string& note :
       {std::string(), origin, origin + "1\n", "other/node/2026\n1\n" + hash, "test.example/node\n1\n" + hash,
        "test.example/node/202x\n1\n" + hash, "test.example/node/20260\n1\n" + hash, origin + "01\n" + hash,
        origin + "-1\n" + hash, origin + "x\n" + hash, origin + "1\nAAAA\n", origin + "1\n" + hash.substr(0, 44),
        origin + "1\n" + hash + "\n", origin + "1\n" + hash + "extension\n", "test.example/node2/2026\n1\n" + hash}) {
    EXPECT_FALSE(signs(KeyKind::ledger, note)) << note;
  }
}

TEST(KeyRule, ManifestsAreOfAnExportOfTheOrigin) {
  const std::string rest = "/export\nrange 0 1\ncheckpoint 1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
  const std::string file = std::string(64, '0') + "  checkpoint\n";
  EXPECT_TRUE(signs(KeyKind::ledger, "test.example/node/2026" + rest + file));
  for (const std::string& note : {"test.example/node/2026" + rest, "other/node/2026" + rest + file, rest + file,
                                  "test.example/node/2026" + rest + file + "x\n", "test.example/node" + rest + file,
                                  "test.example/node/20260" + rest + file}) {
    EXPECT_FALSE(signs(KeyKind::ledger, note)) << note;
  }
}

TEST(KeyRule, WithoutAnIssuerOrSignaturesNothingIsSigned) {
  EXPECT_FALSE(signs(KeyKind::ue_ca, "x"));
  EXPECT_FALSE(signs(KeyKind::dac_kek, "x"));
}

const std::string config_head =
    "module = \"/m.so\"\ntoken = \"pkcs11:token=t\"\npin_file = \"pin\"\nstate_directory = \"state\"\n";
const std::string config_key = "[[keys]]\nname = \"k\"\nkind = \"avatar-id\"\nuri = \"pkcs11:object=k\"\n";

TEST(Config, ReadsEveryMember) {
  const auto config = parse_config(
      "module = \"/m.so\"\ntoken = \"pkcs11:token=t\"\npin_credential = \"pin\"\nstate_directory = \"s\"\nsessions = "
      "4\ncall_limit_ms = "
      "200\nlog_level = \"debug\"\n"
      "[socket]\ngroup = \"g\"\nallow_users = [\"u\"]\nallow_groups = [\"5\"]\n"
      "[[keys]]\nname = \"ca\"\nkind = \"ue-ca\"\nuri = \"pkcs11:id=%01\"\nissuer_certificate = "
      "\"ca.pem\"\nmax_validity_days = 31\nmax_rate = 9\n"
      "[[keys]]\nname = \"log\"\nkind = \"ledger\"\nuri = \"pkcs11:object=log\"\norigin = \"a/b\"\n",
      "/etc/avseal/t.toml");
  ASSERT_TRUE(config) << config.error().detail;
  EXPECT_EQ(config->sessions, 4U);
  EXPECT_EQ(config->call_limit.count(), 200);
  EXPECT_EQ(config->pin_credential, "pin");
  EXPECT_EQ(config->state_directory, "/etc/avseal/s");
  EXPECT_EQ(config->keys[0].issuer_certificate, "/etc/avseal/ca.pem");
  EXPECT_EQ(config->keys[0].max_rate, 9U);
  EXPECT_EQ(config->keys[1].origin, "a/b");
}

TEST(Config, ErrorsBeginWithFileAndLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"x = ", "t.toml:1: "},
      {config_head, "keys"},
      {config_head + "sessions = 0\n" + config_key, "t.toml:5: sessions: expected an integer from 1 to 64"},
      {config_head + "sessions = \"1\"\n" + config_key, "t.toml:5: sessions"},
      {config_head + "pin_credential = \"p\"\n" + config_key, "exactly one of pin_file and pin_credential"},
      {config_head + "unknown = 1\n" + config_key, "t.toml:5: unknown: is not known here"},
      {config_head + config_key + config_key, "two keys are named \"k\""},
      {config_head + config_key + "origin = \"o\"\n", "t.toml:9: origin: is not known here"},
      {config_head + "[[keys]]\nname = \"k\"\nkind = \"x\"\nuri = \"pkcs11:object=k\"\n",
       "t.toml:7: kind: unknown key kind"},
      {config_head + "[[keys]]\nname = \"k\"\nkind = \"ledger\"\nuri = \"pkcs11:object=k\"\n",
       "origin: expected a string"},
      {config_head + "[[keys]]\nname = \"k\"\nkind = \"avatar-id\"\nuri = \"pkcs11:token=k\"\n",
       "t.toml:8: uri: PKCS#11 URI"},
      {"module = \"m.so\"\ntoken = \"pkcs11:token=t\"\npin_file = \"p\"\nstate_directory = \"s\"\n" + config_key,
       "t.toml:1: module: expected an absolute path"},
      {"module = \"/m.so\"\ntoken = \"pkcs11:slot-id=1\"\npin_file = \"p\"\n" + config_key, "t.toml:2: token"},
  };
  for (const auto& [text, expected] : cases) {
    const auto config = parse_config(text, "t.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().reason, "configuration-invalid");
    EXPECT_TRUE(config.error().detail.starts_with("t.toml:")) << config.error().detail;
    EXPECT_NE(config.error().detail.find(expected), std::string::npos) << config.error().detail;
  }
  EXPECT_EQ(load_config("/nonexistent/t.toml").error().detail, "/nonexistent/t.toml:1: No such file or directory");
}

TEST(Config, TheStateDirectoryIsSystemdsUnlessNamed) {
  const std::string text = "module = \"/m.so\"\ntoken = \"pkcs11:token=t\"\npin_file = \"p\"\n" + config_key;
  ::unsetenv("STATE_DIRECTORY");
  EXPECT_EQ(parse_config(text, "t.toml").error().detail,
            "t.toml:1: state_directory: expected a directory, for there is no STATE_DIRECTORY of systemd either");
  ::setenv("STATE_DIRECTORY", "/var/lib/s", 1);
  EXPECT_EQ(parse_config(text, "t.toml")->state_directory, "/var/lib/s");
  EXPECT_EQ(parse_config(config_head + config_key, "/e/t.toml")->state_directory, "/e/state");
  ::unsetenv("STATE_DIRECTORY");
}

TEST(PeerPolicy, AllowsOnlyItselfByDefault) {
  const auto policy = PeerPolicy::from({});
  ASSERT_TRUE(policy);
  EXPECT_TRUE(policy->allows(::getuid(), 12345));
  EXPECT_FALSE(policy->allows(::getuid() + 1, ::getgid()));
}

TEST(PeerPolicy, AllowsConfiguredUsersAndGroups) {
  Config config;
  config.allow_users = {"60001", "nobody"};
  config.allow_groups = {"60002"};
  const auto policy = PeerPolicy::from(config);
  ASSERT_TRUE(policy) << policy.error().detail;
  EXPECT_TRUE(policy->allows(60001, 1));
  EXPECT_TRUE(policy->allows(65534, 1));
  EXPECT_TRUE(policy->allows(60003, 60002));
  EXPECT_FALSE(policy->allows(60003, 60003));
  config.allow_groups = {"no-such-group"};
  EXPECT_FALSE(PeerPolicy::from(config));
}

TEST(RateCeiling, GivesOneSecondsWorthAndThenItsRate) {
  RateCeiling ceiling(2);
  auto now = std::chrono::steady_clock::time_point(std::chrono::hours(1));
  EXPECT_TRUE(ceiling.take(now));
  EXPECT_TRUE(ceiling.take(now));
  EXPECT_FALSE(ceiling.take(now));
  now += std::chrono::milliseconds(500);
  EXPECT_TRUE(ceiling.take(now));
  EXPECT_FALSE(ceiling.take(now));
  now += std::chrono::hours(1);
  EXPECT_TRUE(ceiling.take(now) && ceiling.take(now));
  EXPECT_FALSE(ceiling.take(now));
}

TEST(RateCeiling, ZeroIsNoCeiling) {
  RateCeiling ceiling(0);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(ceiling.take({}));
}

TEST(Watchdog, TellsWhichThreadHangs) {
  std::promise<std::size_t> expired;
  bool told = false;
  Watchdog watchdog(std::chrono::milliseconds(20), 3, [&](std::size_t thread) {
    if (!told) expired.set_value(thread);
    told = true;
  });
  { const Watchdog::Call returned(watchdog, 0); }
  const Watchdog::Call hanging(watchdog, 2);
  auto future = expired.get_future();
  ASSERT_EQ(future.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(future.get(), 2U);
}

}  // namespace
}  // namespace avseal::tokend
