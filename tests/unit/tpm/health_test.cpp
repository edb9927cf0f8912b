#include "tpm/health.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tpm/swtpm.hpp"

namespace avseal::tpm {
namespace {

TEST(HealthTest, FreshTpmIsWell) {
  const test::Swtpm tpm;
  const auto context = Context::open(tpm.tcti()).value();
  const auto health = read_health(*context);
  ASSERT_TRUE(health) << health.error().detail;
  EXPECT_EQ(health->lockout_counter, 0U);
  EXPECT_EQ(health->lockout_limit, 3U);
  EXPECT_FALSE(health->in_lockout || health->lockout_auth_set || health->owner_auth_set ||
               health->endorsement_auth_set);
  EXPECT_EQ(health->object_slots, 3U);
  EXPECT_EQ(health->session_slots, 3U);
  EXPECT_GT(health->persistent_slots, 0U);
}

TEST(HealthTest, SeesPasswordsTriesSlotsAndResets) {
  test::Swtpm tpm;
  const auto before = read_health(*Context::open(tpm.tcti()).value()).value();
  ASSERT_EQ(
      tpm.tool(
          "tpm2_createprimary -Q -C o -G ecc -p right -c p; echo x >m; tpm2_create -Q -C p -P wrong -u u -r r "
          "2>/dev/null; tpm2_changeauth -Q -c lockout a && tpm2_changeauth -Q -c o b && tpm2_changeauth -Q -c e c"),
      0);
  const auto context = Context::open(tpm.tcti()).value();
  const auto health = read_health(*context).value();
  EXPECT_EQ(health.lockout_counter, 1U);
  EXPECT_TRUE(health.lockout_auth_set && health.owner_auth_set && health.endorsement_auth_set);
  EXPECT_LT(health.object_slots, 3U);
  tpm.restart();
  const auto after = read_health(*Context::open(tpm.tcti()).value()).value();
  EXPECT_EQ(after.reset_count, before.reset_count + 1);
}

}  // namespace
}  // namespace avseal::tpm
