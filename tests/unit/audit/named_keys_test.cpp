#include "audit/named_keys.hpp"

#include "support.hpp"

namespace avseal::audit::test {
namespace {

NamedKeys keys_of(const Log& log, std::uint64_t first = 0) {
  NamedKeys keys;
  Leaf leaf;
  auto views = log.views();
  views.erase(views.begin(), views.begin() + static_cast<std::ptrdiff_t>(first));
  add_named_keys(facts_of(views, first, leaf), keys);
  return keys;
}

TEST(NamedKeys, AreThoseThatSignedAndThoseThatWereLoaded) {
  Log log;
  log.begin().sign(1).sign(2);
  log.add("refusal", {}, {use("access-token", 1, "discarded")}, "refused");
  const auto keys = keys_of(log);
  ASSERT_EQ(keys.size(), 3U);
  EXPECT_EQ(keys.at(kid_of("avatar-id")).name, "avatar-id");
  EXPECT_EQ(keys.at(kid_of("avatar-id")).first_use, 2U);
  EXPECT_EQ(keys.at(kid_of("access-token")).first_use, 4U);
  EXPECT_EQ(keys.at(kid_of("ledger")).first_use, std::nullopt);
  EXPECT_EQ(keys_of(log, 3).at(kid_of("avatar-id")).first_use, 3U);
  EXPECT_EQ(keys_of(log, 3).count(kid_of("ledger")), 0U);
}

TEST(NamedKeys, AreThoseOfCheckpoints) {
  const boost::json::object run{
      {"key", "ledger"}, {"kid", kid_of("ledger")}, {"sequences", {{1, 7}}}, {"worker", "w-1"}};
  Log log;
  log.begin().add("ledger.checkpoints", {{"uses", boost::json::array({run})}});
  EXPECT_EQ(keys_of(log).at(kid_of("ledger")).first_use, 2U);
}

TEST(NamedKeys, AreNotTakenFromDetailsOfAnotherForm) {
  Log log;
  log.start()
      .add("keys.loaded", {{"keys", "all"}})
      .add("keys.loaded", {{"keys", {1, {{"kid", "x"}}, {{"key", 1}, {"kid", "x"}}}}});
  EXPECT_TRUE(keys_of(log).empty());
}

// They stand in a README whose lines people run.
TEST(NamedKeys, HaveNoLinesOfTheirOwn) {
  Log log;
  auto use = test::use("evil\n    touch x", 1);
  use["kid"] = std::string(39, 'k') + "\n $";
  log.start().add("refusal", {}, {use}, "refused");
  log.add("ledger.checkpoints",
          {{"uses", boost::json::array({boost::json::object{{"key", "a\n    b"}, {"kid", "c\n    d"}}})}});
  for (const auto& [kid, key] : keys_of(log)) {
    EXPECT_EQ((kid + key.name).find_first_of(" \n"), std::string::npos) << kid << key.name;
  }
  EXPECT_EQ(keys_of(log).at("c?????d").name, "a?????b");
  EXPECT_EQ(keys_of(log).size(), 2U);
}

}  // namespace
}  // namespace avseal::audit::test
