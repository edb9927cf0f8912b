#include "support.hpp"

namespace avseal::store::test {
namespace {

class KeyStatesTest : public Fixture {
 protected:
  void SetUp() override { store = open(); }
  std::vector<KeyStateRow> rotation{{"avatar-id", "avatar-id", KeyState::verifying, 100, "operator-1", ""},
                                    {"avatar-id-2", "avatar-id", KeyState::active, 100, "operator-1", "yearly"}};
  std::shared_ptr<Store> store;
};

TEST_F(KeyStatesTest, ChangeTogetherAndSurviveARestart) {
  EXPECT_TRUE(run(store->key_states().all())->rows.empty());
  ASSERT_TRUE(run(store->key_states().change(rotation, 0)));
  store->close();
  store = open();
  const auto table = run(store->key_states().all()).value();
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_EQ(table.revision, 1);
  EXPECT_EQ(table.rows[0].state, KeyState::verifying);
  EXPECT_EQ(table.rows[1].name, "avatar-id-2");
  EXPECT_EQ(table.rows[1].kind, "avatar-id");
  EXPECT_EQ(table.rows[1].state, KeyState::active);
  EXPECT_EQ(table.rows[1].since, 100);
  EXPECT_EQ(table.rows[1].actor, "operator-1");
  EXPECT_EQ(table.rows[1].reason, "yearly");
}

TEST_F(KeyStatesTest, OfTwoChangesOfOneTableOneIsRefused) {
  const auto other = open();
  ASSERT_TRUE(run(store->key_states().change(rotation, 0)));
  rotation[1].state = KeyState::retired;
  const auto refused = run(other->key_states().change(rotation, 0));
  EXPECT_EQ(refused.error().reason, "key-states-changed");
  EXPECT_EQ(refused.error().category, Category::conflict);
  ASSERT_TRUE(run(other->key_states().change({rotation[1]}, 1)));
  const auto table = run(store->key_states().all()).value();
  EXPECT_EQ(table.revision, 2);
  EXPECT_EQ(table.rows[1].state, KeyState::retired);
}

TEST_F(KeyStatesTest, NamesOfStatesAreReadBack) {
  for (const auto state : {KeyState::staged, KeyState::active, KeyState::verifying, KeyState::retired}) {
    EXPECT_EQ(parse_key_state(to_string(state)), state);
  }
  EXPECT_FALSE(parse_key_state("destroyed"));
}

struct EditedState : KeyStatesTest, ::testing::WithParamInterface<const char*> {};

TEST_P(EditedState, IsRefusedAndReported) {
  ASSERT_TRUE(run(store->key_states().change({rotation[0]}, 0)));
  ASSERT_EQ(Intruder(file).run(std::string("UPDATE key_state SET ") + GetParam()), 1);
  EXPECT_EQ(run(store->key_states().all()).error().reason, "store-row-forged");
  EXPECT_EQ(run(store->key_states().change({rotation[1]}, 1)).error().reason, "store-row-forged");
}

INSTANTIATE_TEST_SUITE_P(EachColumn, EditedState,
                         ::testing::Values("name = 'ledger'", "kind = 'ledger'", "state = 'active'",
                                           "state = 'unheard-of'", "since = 0", "actor = 'operator-2'",
                                           "reason = 'because'", "revision = 2", "seal = zeroblob(32)"));

}  // namespace
}  // namespace avseal::store::test
