#include "audit/hsm_history.hpp"

#include "hsm_log.hpp"
#include "support.hpp"

namespace avseal::audit::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint16_t avatar_id = 0x0101;
constexpr std::uint16_t ledger_key = 0x0105;

class HsmHistoryTest : public ::testing::Test {
 protected:
  Verdict verdict;
  HsmHistory history{verdict};
  std::vector<HsmKey> keys{{"avatar-id", avatar_id}, {"ledger", ledger_key}};
  std::map<std::string, KeyTotal> ledger{{"avatar-id", {5, 0}}, {"ledger", {2, 0}}};
  std::uint64_t tests = 0;

  std::vector<HsmCount> compare() { return history.compare(keys, tests, ledger); }
};

TEST_F(HsmHistoryTest, CountsTheSignaturesOfEachKey) {
  HsmLogText log;
  log.add(0x46, avatar_id).sign(avatar_id, 4).sign(ledger_key, 2).add(0x54, avatar_id).sign(avatar_id);
  log.add(0x56, avatar_id, 0xffff, 0x0b).add(0x56, 0xffff, avatar_id);  // refused; of another object
  history.take("log", log.all());
  const auto counts = compare();
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-objects-unnamed")) << text_of(verdict);
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(
      text_of(verdict),
      AllOf(HasSubstr("hsm-signatures | key avatar-id, object 0x0101 | 5 signatures, and the ledger tells of 5"),
            HasSubstr("hsm-signatures | key ledger, object 0x0105 | 2 signatures, and the ledger tells of 2")));
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts[0].in_hsm, 5U);
  EXPECT_EQ(counts[1].in_ledger, 2U);
  EXPECT_EQ(history.entries(), 12U);
  EXPECT_EQ(history.logs(), 1U);
}

TEST_F(HsmHistoryTest, AcceptsTestSignaturesAndNoMore) {
  HsmLogText log;
  log.sign(avatar_id, 7).sign(ledger_key, 3);
  history.take("log", log.all());
  tests = 3;
  compare();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  tests = 2;
  compare();
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-signatures-more"));
  EXPECT_THAT(text_of(verdict), HasSubstr("3 signatures of which the ledger does not tell (2 of key avatar-id, 1 of "
                                          "key ledger), and 2 test signatures are accepted\n"));
}

TEST_F(HsmHistoryTest, TellsWhatLostConnectionsMayAccountFor) {
  ledger["avatar-id"].in_flight = 4;
  HsmLogText log;
  log.sign(avatar_id, 6).sign(ledger_key, 2);
  history.take("log", log.all());
  compare();
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-signatures-more"));
  EXPECT_THAT(text_of(verdict), HasSubstr("requests in flight account for 4 of them at most"));
}

TEST_F(HsmHistoryTest, MissesSignaturesOfTheLedgerWhateverElseThereIs) {
  HsmLogText log;
  log.sign(avatar_id, 50).sign(ledger_key);
  history.take("log", log.all());
  tests = 100;
  compare();
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-signatures-missing"));
  EXPECT_THAT(text_of(verdict), HasSubstr("key ledger, object 0x0105 | 1 signatures, and the ledger tells of 2"));
}

TEST_F(HsmHistoryTest, JoinsOutputsThatOverlap) {
  HsmLogText log;
  log.sign(avatar_id, 200);
  ledger = {{"avatar-id", {200, 0}}};
  history.take("a", log.output(0, 62));
  history.take("b", log.output(30, 62) + log.output(92, 0) + log.output(92, 62));
  history.take("c", log.output(100, 60) + log.output(160, 41));
  compare();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(history.entries(), 201U);
}

TEST_F(HsmHistoryTest, GoesOnBehindTheHighestNumber) {
  HsmLogText log;
  log.sign(avatar_id, 70'000);
  ledger = {{"avatar-id", {70'000, 0}}};
  history.take("log", log.all());
  compare();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
}

TEST_F(HsmHistoryTest, CountsSeveralHsmsTogether) {
  HsmLogText first;
  HsmLogText second(std::string(32, 'b'));
  history.take("a", first.sign(avatar_id, 3).sign(ledger_key).all());
  history.take("b", second.sign(avatar_id, 2).sign(ledger_key).all());
  compare();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(history.logs(), 2U);
}

TEST_F(HsmHistoryTest, ComparesNothingWhereEntriesDoNotHoldTogether) {
  HsmLogText log;
  log.sign(avatar_id, 5).sign(ledger_key, 3);
  const auto changed = [&log](auto change) {
    auto other = log;
    change(other.items());
    return other;
  };
  const auto removed = changed([](auto& items) { items.erase(items.begin() + 3); });
  const auto altered = changed([](auto& items) { items[3].replace(items[3].find("0x0101"), 6, "0x0105"); });
  const auto swapped = changed([](auto& items) { std::swap(items[3], items[4]); });
  const std::vector<std::pair<std::string, std::string>> cases = {
      {removed.output(0, 8), "log | entry 5 behind entry 3"},
      {altered.output(0, 9), "log | entry 4 has not the hash of what it says and of entry 3"},
      {swapped.output(0, 9), "log | entry 5 behind entry 3"},
      {log.output(1, 8), "log | it begins with entry 2"},
      {log.output(0, 3) + log.output(4, 5), "log | entry 5 behind entry 3"},
  };
  for (const auto& [text, expected] : cases) {
    Verdict found;
    HsmHistory other(found);
    other.take("log", text);
    EXPECT_THAT(other.compare(keys, 0, ledger), IsEmpty());
    EXPECT_EQ(ids(found).front(), "hsm-log-broken") << text_of(found);
    EXPECT_THAT(text_of(found), AllOf(HasSubstr(expected), Not(HasSubstr("hsm-signatures"))));
  }
  history.take("log", log.output(0, 9) + "\n");
  EXPECT_THAT(compare(), IsEmpty());
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-log-malformed"));
}

TEST_F(HsmHistoryTest, TellsThatTheHsmsLogWasFull) {
  HsmLogText log;
  log.sign(avatar_id, 5).sign(ledger_key, 2);
  history.take("log", log.output(0, 4, 1, 0) + log.output(4, 4, 0, 9));
  compare();
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-log-full", "hsm-log-full"));
  EXPECT_THAT(text_of(verdict), HasSubstr("0 boots and 9 authentications that were not logged"));
}

TEST_F(HsmHistoryTest, NamesOtherUsesAndOtherObjects) {
  HsmLogText log;
  log.sign(avatar_id, 5).sign(ledger_key, 2).add(0x64, 0x0200, avatar_id).add(0x4a, 0x0300, ledger_key);
  log.add(0x4a, 0x0300, ledger_key).add(0x5d, avatar_id, 0xffff, 0x09).add(0x42, avatar_id);
  for (unsigned object = 1; object <= 10; ++object) log.sign(object, object);
  history.take("log", log.all());
  compare();
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(ids(verdict), ElementsAre("hsm-other-uses", "hsm-other-uses", "hsm-objects-unnamed"));
  EXPECT_THAT(text_of(verdict),
              AllOf(HasSubstr("key avatar-id, object 0x0101 | commands 0x64 (1 times)\n"),
                    HasSubstr("key ledger, object 0x0105 | commands 0x4a (2 times)\n"),
                    HasSubstr("55 signatures of 10 objects that were not compared: 0x0001 (1), 0x0002 (2), "),
                    HasSubstr("0x0008 (8), ...\n")));
}

// --- what the ledger tells ---

std::map<std::string, KeyTotal> totals_of(const Log& log, bool midway = false) {
  Verdict ignored;
  History history(ignored);
  history.begin(std::string(log_origin), midway);
  Leaf memory;
  const auto views = log.views();
  history.take(facts_of(views, 0, memory));
  history.finish();
  EXPECT_EQ(history.totals().has_value(), !midway);
  return history.totals().value_or(std::map<std::string, KeyTotal>());
}

TEST(Totals, AreTheHighestNumbersOfAllWorkers) {
  Log log;
  log.begin().sign(1).sign(3).sign(2).sign(1, "w-2").sign(2, "w-2");
  log.lost("w-1", 3, {{"avatar-id", 4}, {"access-token", 7}}).sign(1, "w-3").lost("w-1", 2).lost("w-9", 50);
  const auto totals = totals_of(log);
  EXPECT_EQ(totals.at("avatar-id").signatures, 4U + 2U + 1U);
  EXPECT_EQ(totals.at("avatar-id").in_flight, 5U) << "of workers that the key signed with";
  EXPECT_EQ(totals.at("access-token").signatures, 7U);
  EXPECT_EQ(totals.size(), 2U);
  totals_of(log, true);
}

}  // namespace
}  // namespace avseal::audit::test
