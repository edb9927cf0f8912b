#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/config.hpp"

namespace avseal::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Members = std::map<std::string, std::string>;

std::vector<std::string> changed(const Members& before, const Members& after) {
  Config running;
  Config wanted;
  running.members = before;
  wanted.members = after;
  return needs_restart(running, wanted);
}

TEST(ConfigChanges, OfWhatAReloadTakesNeedNoRestart) {
  const Members before{
      {"clients", "[1]"},    {"keys", "[1]"},          {"tokens", "[1]"},     {"authorization.policy", "a"},
      {"log.level", "info"}, {"keyring.window", "32"}, {"dac.issuers", "[]"}, {"server.port", "443"}};
  auto after = before;
  for (const char* name :
       {"clients", "keys", "tokens", "authorization.policy", "log.level", "keyring.window", "dac.issuers"}) {
    after[name] = "else";
  }
  after["authorization.require_accept"] = "true";
  EXPECT_THAT(changed(before, after), IsEmpty());
}

TEST(ConfigChanges, OfAnythingElseNeedOne) {
  EXPECT_THAT(
      changed({{"server.port", "443"}, {"log.target", "stderr"}}, {{"server.port", "444"}, {"log.target", "journal"}}),
      ElementsAre("log.target", "server.port"));
  EXPECT_THAT(changed({}, {{"enrollment.code_lifetime", "60"}}), ElementsAre("enrollment.code_lifetime"));
  EXPECT_THAT(changed({{"clock.source", "kernel"}}, {}), ElementsAre("clock.source"));
  EXPECT_THAT(changed({{"keyring.socket_directory", "a"}}, {{"keyring.socket_directory", "b"}}),
              ElementsAre("keyring.socket_directory"));
  EXPECT_THAT(changed({{"keys_of_another", "a"}}, {}), ElementsAre("keys_of_another"))
      << "a name that only begins alike";
}

TEST(ConfigChanges, RoleThatComesOrGoesNeedsOne) {
  Config with;
  with.authorization.emplace();
  EXPECT_THAT(needs_restart({}, with), ElementsAre("authorization"));
  EXPECT_THAT(needs_restart(with, {}), ElementsAre("authorization"));
}

}  // namespace
}  // namespace avseal::service
