#include "audit/saved_history.hpp"

#include "support.hpp"

namespace avseal::audit::test {
namespace {

using ::testing::HasSubstr;

class Reading {
 public:
  Reading() { history.begin(std::string(log_origin), false); }
  explicit Reading(const SavedHistory& saved) {
    history.resume(saved.state);
    history.begin(std::string(log_origin), false);
  }
  void take(const Log& log, std::size_t from, std::size_t to) {
    Leaf leaf;
    const auto views = log.views();
    history.take(facts_of(std::span(views).subspan(from, to - from), from, leaf));
  }
  [[nodiscard]] SavedHistory saved() const { return {{std::string(log_origin), 7, {}}, history.state()}; }

  Verdict verdict;
  History history{verdict};
};

// All that a state can hold: gaps, deaths, a crash, keys of every state.
Log eventful() {
  const boost::json::object uses{{"key", "ledger"},
                                 {"kid", kid_of("ledger")},
                                 {"sequences", {boost::json::array{1, 4}, boost::json::array{6, 9}}},
                                 {"worker", "w-1"}};
  const boost::json::object death{{"id", "a"},
                                  {"in_flight", 3},
                                  {"last_sequences", boost::json::object()},
                                  {"token", "hsm-a"},
                                  {"worker", "w-\u00e9"}};
  Log log;
  log.begin().sign(1).sign(3).connected("w-2", {{"avatar-id", 5}}).sign(9, "w-2").wait(100'000);
  log.add("worker.lost", death).lost("w-2", 2).sign(4).sign(6).add("worker.lost", death);
  log.start().connected("w-1", {{"avatar-id", 8}}).loaded({loaded_key("avatar-id"), loaded_key("ledger", "verifying")});
  log.sign(9).sign(11, "w-2").sign(2, "w-3").add("ledger.checkpoints", {{"uses", {uses}}}).wait(10'000'000);
  log.loaded({loaded_key("avatar-id", "verifying"), loaded_key("next", "staged")}).sign(14).sign(12).stop();
  log.begin().sign(15).sign(15);
  return log;
}

TEST(SavedHistoryTest, GoesOnAsIfAllHadBeenRead) {
  const auto log = eventful();
  const auto size = log.leaves().size();
  Reading all;
  all.take(log, 0, size);
  const auto end = all.saved().text().value();
  all.history.finish();
  EXPECT_GT(ids(all.verdict).size(), 5U);
  for (std::size_t at = 0; at <= size; ++at) {
    Reading first;
    first.take(log, 0, at);
    const auto text = first.saved().text();
    const auto saved = SavedHistory::parse(*text);
    ASSERT_TRUE(saved) << saved.error().detail << *text;
    Reading second(*saved);
    second.take(log, at, size);
    EXPECT_EQ(second.saved().text().value(), end) << at;
    second.history.finish();
    EXPECT_EQ(text_of(first.verdict) + text_of(second.verdict), text_of(all.verdict)) << at;
  }
}

TEST(SavedHistoryTest, HasItsCheckpoint) {
  const SavedHistory saved{{"demo.example/node-1/2026", 12, {}}, {}};
  const auto read = SavedHistory::parse(saved.text().value());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->checkpoint, saved.checkpoint);
}

TEST(SavedHistoryTest, IsReadAsItWasWrittenOnly) {
  const auto log = eventful();
  Reading all;
  all.take(log, 0, log.leaves().size());
  const auto text = all.saved().text().value();
  ASSERT_TRUE(SavedHistory::parse(text));
  for (std::size_t i = 0; i < text.size(); ++i) EXPECT_FALSE(SavedHistory::parse(text.substr(0, i))) << i;
  const auto changed = [&](std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return SavedHistory::parse(text.substr(0, at) + std::string(to) + text.substr(at + from.size()));
  };
  const std::pair<const char*, const char*> changes[] = {
      {"{\"checkpoint\"", "{ \"checkpoint\""},
      {"\"version\":1", "\"version\":2"},
      {"\"version\":1", "\"version\":1,\"x\":1"},
      {"\"midway\":false", "\"midway\":0"},
      {"\"unlogged\":100", "\"unlogged\":-100"},
      {"\"last_time\":", "\"last_time\":9000000"},
      {"\"since\":", "\"since\":0"},
      {"\"unlogged\":100", "\"unlogged\":100.0"},
      {"\"kind\":\"ledger\"", "\"kind\":\"ledger\",\"more\":1"},
      {"[\"a\"]", "[\"a\",\"a\"]"},
      {"\"loss_ids\":[\"a\"]", "\"loss_ids\":[1]"},
      {",3]]", ",5000]]"},
      {",3]]", ",-3]]"},
      {",3]]", ",3,3]]"},
      {"\"runs\":[[1,", "\"runs\":[[0,"},
      {"\"runs\":[[1,4,", "\"runs\":[[1,5,"},
      {"\"runs\":[[1,4,", "\"runs\":[[4,1,"},
      {"\"crashes\":1", "\"crashes\":0"},
      {"\"crashes\":1", "\"crashes\":-1"},
  };
  for (const auto& [from, to] : changes) {
    const auto read = changed(from, to);
    ASSERT_FALSE(read) << from << " -> " << to;
    EXPECT_EQ(read.error().reason, "numbers-malformed");
  }
  EXPECT_THAT(changed("\"version\":1", "\"version\":2").error().detail, HasSubstr("version 2, expected 1"));
}

TEST(SavedHistoryTest, IsBounded) {
  EXPECT_FALSE(SavedHistory::parse(std::string(SavedHistory::max_size + 1, ' ')));
  Reading reading;
  Log log;
  log.begin();
  for (int i = 0; i < 600; ++i) {
    log.lost("w-1", 1);
    log.leaves().back().insert(log.leaves().back().find("\"in_flight\""),
                               fmt::format(R"("id":"{}{}",)", std::string(60'000, 'i'), i));
  }
  reading.take(log, 0, log.leaves().size());
  const auto text = reading.saved().text();
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().reason, "numbers-too-large");
}

}  // namespace
}  // namespace avseal::audit::test
