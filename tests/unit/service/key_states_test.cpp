#include "service/key_states.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace avseal::service {
namespace {

using keyring::KeyConfig;
using keyring::KeyKind;

KeyConfig key(std::string name, KeyKind kind, bool primary) {
  KeyConfig config;
  config.name = std::move(name);
  config.kind = kind;
  config.primary = primary;
  config.tokens = {"hsm-a"};
  return config;
}

struct KeyStates : ::testing::Test {
  std::vector<KeyConfig> keys{key("old", KeyKind::avatar_id, true), key("new", KeyKind::avatar_id, false),
                              key("ledger", KeyKind::ledger, true)};
  std::vector<KeyStateRow> rows;
  UnixSeconds now = 1000;

  std::string states() const {
    std::string text;
    for (const auto& row : states_of(keys, rows)) text += row.name + "=" + std::string(to_string(row.state)) + " ";
    return text;
  }
  std::string change(const std::string& name, KeyState to, const std::string& reason = "") {
    const auto changed = transition(keys, rows, {name, to, now, "operator-1", reason, 600});
    if (!changed) return std::string(changed.error().reason);
    rows = merged(std::move(rows), *changed);
    return changed->empty() ? "unchanged" : "changed";
  }
};

TEST_F(KeyStates, WithoutRowsTheConfigurationSpeaks) {
  EXPECT_EQ(states(), "old=active new=verifying ledger=active ");
}

TEST_F(KeyStates, ARotationGoesThroughEachState) {
  EXPECT_EQ(change("new", KeyState::active), "key-transition") << "not staged";
  EXPECT_EQ(change("new", KeyState::staged), "changed");
  EXPECT_EQ(states(), "old=active new=staged ledger=active ");
  EXPECT_EQ(change("new", KeyState::staged), "unchanged");
  EXPECT_EQ(change("new", KeyState::active), "changed");
  EXPECT_EQ(states(), "old=verifying new=active ledger=active ");
  EXPECT_EQ(change("new", KeyState::active), "unchanged");
  now += 599;
  EXPECT_EQ(change("old", KeyState::retired), "key-overlap");
  now += 1;
  EXPECT_EQ(change("old", KeyState::retired), "changed");
  EXPECT_EQ(states(), "old=retired new=active ledger=active ");
  EXPECT_EQ(change("old", KeyState::staged), "key-transition") << "never again";
}

TEST_F(KeyStates, TheEarlierKeyMayComeBackDuringTheOverlap) {
  change("new", KeyState::staged);
  change("new", KeyState::active);
  EXPECT_EQ(change("old", KeyState::staged), "changed");
  EXPECT_EQ(change("old", KeyState::active), "changed");
  EXPECT_EQ(states(), "old=active new=verifying ledger=active ");
}

TEST_F(KeyStates, AnOverlapIsCutShortForAReason) {
  change("new", KeyState::staged);
  change("new", KeyState::active);
  EXPECT_EQ(change("old", KeyState::retired, "stolen"), "changed");
  EXPECT_EQ(rows.back().reason, "stolen");
  EXPECT_EQ(rows.back().actor, "operator-1");
  EXPECT_EQ(rows.back().since, now);
}

TEST_F(KeyStates, RefusesWhatLeavesAKindWithoutItsKey) {
  EXPECT_EQ(change("old", KeyState::retired), "key-transition");
  EXPECT_EQ(change("old", KeyState::retired, "whatever"), "key-transition");
  EXPECT_EQ(change("old", KeyState::staged), "key-transition");
  EXPECT_EQ(change("old", KeyState::verifying), "key-transition");
  EXPECT_EQ(change("unheard-of", KeyState::staged), "key-unknown");
}

TEST_F(KeyStates, AStagedKeyMayBeRetired) {
  change("new", KeyState::staged);
  EXPECT_EQ(change("new", KeyState::retired), "changed");
}

TEST_F(KeyStates, TheStoreOverrulesTheConfigurationKindByKind) {
  change("new", KeyState::staged);
  change("new", KeyState::active);
  keys.push_back(key("newest", KeyKind::avatar_id, true));
  EXPECT_EQ(states(), "old=verifying new=active ledger=active newest=verifying ");
}

TEST_F(KeyStates, TheKeyringGetsOneActiveKeyPerKindAndNoRetiredOne) {
  change("new", KeyState::staged);
  change("new", KeyState::active);
  now += 600;
  change("old", KeyState::retired);
  const auto configs = with_states(keys, rows).value();
  ASSERT_EQ(configs.size(), 2U);
  EXPECT_EQ(configs[0].name, "new");
  EXPECT_TRUE(configs[0].primary);
  EXPECT_EQ(configs[1].name, "ledger");
  EXPECT_TRUE(configs[1].primary);
}

TEST_F(KeyStates, TheActiveKeyMustBeConfigured) {
  change("new", KeyState::staged);
  change("new", KeyState::active);
  keys.erase(keys.begin() + 1);
  EXPECT_EQ(with_states(keys, rows).error().reason, "key-configuration");
  keys.erase(keys.begin());
  EXPECT_TRUE(with_states(keys, rows)) << "the kind is not used on this node";
}

TEST_F(KeyStates, ARowOfAnotherKindIsNotTheKeys) {
  rows.push_back({"old", "ledger", KeyState::retired, 1, "operator-1", ""});
  EXPECT_EQ(states(), "old=active new=verifying ledger=active ");
}

}  // namespace
}  // namespace avseal::service
