#include "audit/rules.hpp"
#include "site.hpp"

namespace avseal::audit::test {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class VerifyTest : public ::testing::Test, protected Site {};

TEST_F(VerifyTest, FindsLogsOfEverySizeGood) {
  for (const std::uint64_t size : {0, 1, 2, 255, 256, 257, 511, 512, 1000}) {
    fs::remove_all(log);
    write(leaves_of(size));
    for (const unsigned threads : {1U, 3U}) {
      options.threads = threads;
      const auto verdict = verify();
      EXPECT_TRUE(verdict.good()) << size << ": " << text_of(verdict);
      EXPECT_EQ(verified.size, size);
      EXPECT_EQ(verified.read, size);
      EXPECT_EQ(verified.periods, 1U);
    }
  }
  EXPECT_EQ(verified.uses, 998U);
  EXPECT_EQ(verified.origin, log_origin);
  EXPECT_EQ(verified.first_time, start_time);
}

TEST_F(VerifyTest, FindsLogsGoodWhereLevelsBegin) {
  const auto all = leaves_of(70000);
  const auto views = all.views();
  LogFiles files(log, std::string(log_origin), key);
  options.threads = 2;
  for (const std::uint64_t size : {65535, 65536, 70000}) {
    while (files.size() < size) files.add(views[files.size()]);
    files.publish();
    const auto verdict = verify();
    EXPECT_TRUE(verdict.good()) << size << ": " << text_of(verdict);
    EXPECT_EQ(verified.size, size);
    options.held.push_back({fmt::format("at-{}", size), files.note()});
    options.since = options.held.back();
  }
  EXPECT_EQ(verified.read, 70000U - 65536U);

  options = {};
  options.threads = 2;
  for (const char* tile : {"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"}) {
    flip(tile, 31);
    EXPECT_THAT(text_of(verify()), HasSubstr(fmt::format("tile-differs | {}", tile)));
    flip(tile, 31);
  }
}

TEST_F(VerifyTest, ReadsOnFromACheckpointOfAnySize) {
  const std::vector<std::uint64_t> sizes{0, 1, 2, 255, 256, 257, 512, 999, 1000};
  const auto notes = write(leaves_of(1000), sizes);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    options.since = HeldNote{"mine", notes[i]};
    options.held = {{"first", notes[0]}, {"second", notes[2]}, {"last", notes.back()}};
    const auto verdict = verify();
    EXPECT_TRUE(verdict.good()) << sizes[i] << ": " << text_of(verdict);
    EXPECT_EQ(verified.read, 1000U - sizes[i]);
    const auto findings = verdict.findings();
    EXPECT_EQ(std::count_if(findings.all().begin(), findings.all().end(),
                            [](const auto& finding) { return finding.id == "checkpoint-continued"; }),
              4);
  }
}

TEST_F(VerifyTest, TellsHowFarItIs) {
  write(leaves_of(600));
  std::vector<std::uint64_t> seen;
  options.progress = [&](std::uint64_t leaves, std::uint64_t all) {
    EXPECT_EQ(all, 600U);
    seen.push_back(leaves);
  };
  verify();
  EXPECT_THAT(seen, ElementsAre(256, 512, 600));
}

TEST_F(VerifyTest, TrustsOnlyTheKeysItIsGiven) {
  write(leaves_of(3));
  trusted = {SoftwareKey().verifier(std::string(log_origin))};
  EXPECT_THAT(ids(verify()), ElementsAre("checkpoint-unsigned"));
  trusted = {key.verifier("demo.example/node-2/2026")};
  EXPECT_THAT(text_of(verify()), HasSubstr("no key that you trust is of the log demo.example/node-1/2026"));
  trusted = {key.verifier("demo.example/node-1/2025")};
  EXPECT_TRUE(verify().good()) << "the key of another period of the log";
}

TEST_F(VerifyTest, CannotJudgeWhatItCannotRead) {
  Verdict verdict;
  const auto source = tlog::open_directory(log);
  const auto result = audit::verify(*source, Trust::of_keys(trusted), {}, verdict);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, "log-file-missing");
}

// What an auditor's cron line does: a part of the log after the other, each with what the one before left.
class WindowsTest : public ::testing::Test, protected Site {
 protected:
  // The parts end at these sizes.
  Verdict verify_parts(const Log& of, const std::vector<std::uint64_t>& sizes) {
    auto parts = sizes;
    parts.push_back(of.leaves().size());
    LogFiles files(log, std::string(log_origin), key);
    Verdict verdict;
    for (const auto size : parts) {
      while (files.size() < size) files.add(of.views()[files.size()]);
      files.publish();
      verdict = verify();
      options.since = HeldNote{"seen", verified.note};
      options.numbers = verified.numbers;
    }
    return verdict;
  }
  // A key that is used once in a part; between the second and the third use it made a thousand signatures unseen.
  static Log rogue() {
    Log made;
    made.begin().wait(day).sign(1).wait(day).sign(2).wait(day).sign(1'003).wait(day).sign(1'004);
    return made;
  }
  static constexpr std::int64_t day = 86'400'000;
};

TEST_F(WindowsTest, MissNoNumbersBetweenThem) {
  const auto verdict = verify_parts(rogue(), {3, 4});
  EXPECT_THAT(ids(verdict), ElementsAre("numbers-missing")) << text_of(verdict);
  EXPECT_THAT(text_of(verdict), HasSubstr("no leaf tells of numbers 3 to 1002"));
  EXPECT_EQ(verified.read, 2U);
}

TEST_F(WindowsTest, MissNoNumbersOfAWorkerThatIsNew) {
  auto of = rogue();
  of.sign(7, "w-2").wait(day).sign(8, "w-2");
  EXPECT_THAT(text_of(verify_parts(of, {5, 6})),
              HasSubstr("worker w-2, key avatar-id | no leaf tells of numbers 1 to 6"));
}

TEST_F(WindowsTest, RememberWhatWasAwaited) {
  Log of;
  of.begin().sign(1).sign(4).wait(day).add("refusal", {}, {}, "refused");
  EXPECT_THAT(ids(verify_parts(of, {4})), ElementsAre("numbers-missing"));
}

TEST_F(WindowsTest, TellOfNumbersThatAreNotJudged) {
  const auto notes = write(rogue(), {3, 4});
  options.since = HeldNote{"seen", notes[1]};
  auto verdict = verify();
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(text_of(verdict), HasSubstr("numbers-not-judged | checkpoint seen | no numbers were saved with it"));

  options.numbers = verified.numbers;
  EXPECT_THAT(text_of(verify()), HasSubstr("are of another checkpoint"));
  options.since = HeldNote{"seen", verified.note};
  EXPECT_THAT(text_of(verify()), HasSubstr("do not go back to the first leaf")) << "until all of it is verified";
  options.since.reset();
  EXPECT_THAT(ids(verify()), ElementsAre("numbers-missing"));
}

// One log, damaged in each of its parts.
class TamperTest : public ::testing::Test, protected Site {
 protected:
  static constexpr std::uint64_t size = 3'000;  // tiles of two levels

  static void SetUpTestSuite() {
    site_ = std::make_unique<Site>();
    held_ = site_->write(leaves_of(size), {300, 2'560, size});
  }
  static void TearDownTestSuite() { site_.reset(); }

  void SetUp() override {
    log = site_->directory.path() / "altered";
    fs::remove_all(log);
    fs::copy(site_->log, log, fs::copy_options::recursive);
    trusted = site_->trusted;
    options.threads = 2;
  }

  static std::unique_ptr<Site> site_;
  static std::vector<std::string> held_;
};
std::unique_ptr<Site> TamperTest::site_;
std::vector<std::string> TamperTest::held_;

TEST_F(TamperTest, TheLogItselfIsGood) {
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
}

TEST_F(TamperTest, AnEntry) {
  flip("tile/entries/003", 1000);
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), HasSubstr("entry-differs | leaf 77"));
  EXPECT_THAT(ids(verdict), Not(Contains("tile-differs")));
  EXPECT_THAT(ids(verdict), Not(Contains("root-differs"))) << "the tile has what was signed";
}

TEST_F(TamperTest, AnEntryOfTheLastBundle) {
  const auto last = fmt::format("tile/entries/011.p/{}", size % 256);
  flip(last, 100);
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), HasSubstr("entry-differs | leaf 2816"));
  EXPECT_THAT(ids(verdict), Not(Contains("tile-differs")));
}

TEST_F(TamperTest, TheLengthOfAnEntry) {
  flip("tile/entries/003", 1);
  EXPECT_THAT(text_of(verify()), HasSubstr("entries-malformed | tile/entries/003"));
}

TEST_F(TamperTest, ATileOfEachLevel) {
  const std::string tiles[] = {"tile/0/004", fmt::format("tile/0/011.p/{}", size % 256),
                               fmt::format("tile/1/000.p/{}", size / 256)};
  for (const auto& tile : tiles) {
    SetUp();
    flip(tile, 5);
    const auto verdict = verify();
    EXPECT_THAT(ids(verdict), ElementsAre("tile-differs")) << text_of(verdict);
    EXPECT_THAT(text_of(verdict), HasSubstr("tile-differs | " + tile));
    SetUp();
    cut(tile);
    EXPECT_THAT(text_of(verify()), HasSubstr("tile-differs | " + tile)) << "cut";
    SetUp();
    fs::remove(log / tile);
    EXPECT_THAT(text_of(verify()), HasSubstr("tile-missing | " + tile)) << "missing";
  }
}

TEST_F(TamperTest, ABundleIsGoneCutOrExchanged) {
  fs::remove(log / "tile/entries/009");
  EXPECT_THAT(ids(verify()), AllOf(Contains("entries-missing"), Not(Contains("log-truncated"))))
      << "it goes on behind it";
  SetUp();
  cut("tile/entries/009");
  EXPECT_THAT(text_of(verify()), HasSubstr("entries-malformed | tile/entries/009"));
  SetUp();
  fs::rename(log / "tile/entries/009", log / "tile/entries/x");
  fs::rename(log / "tile/entries/010", log / "tile/entries/009");
  fs::rename(log / "tile/entries/x", log / "tile/entries/010");
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), AllOf(HasSubstr("entry-differs | leaf 2304"), HasSubstr("index-wrong | leaf 2304")));
  EXPECT_THAT(ids(verdict), Not(Contains("tile-differs")));
}

TEST_F(TamperTest, ABundleAndItsTileAreGone) {
  fs::remove(log / "tile/entries/009");
  fs::remove(log / "tile/0/009");
  const auto verdict = verify();
  EXPECT_THAT(ids(verdict), AllOf(Contains("entries-missing"), Contains("tile-missing")));
  EXPECT_THAT(ids(verdict), Not(Contains("root-differs"))) << "the tile above knows the hash of all 256";
  fs::remove(log / fmt::format("tile/1/000.p/{}", size / 256));
  options.held = {{"mine", site_->key.sign({std::string(log_origin), 2'600, {}})}};
  const auto without = text_of(verify());
  EXPECT_THAT(without, HasSubstr("root-differs | checkpoint | too much is missing to make the root"));
  EXPECT_THAT(without, HasSubstr("checkpoint-not-compared | checkpoint mine"));
}

// Entries and tiles fit together, and another root is signed.
TEST_F(TamperTest, TheRootThatIsSigned) {
  write_file(log / "checkpoint", site_->key.sign({std::string(log_origin), size, {}}));
  EXPECT_THAT(text_of(verify()), HasSubstr("root-differs | checkpoint | the entries lead to "));
}

TEST_F(TamperTest, TheEndIsGone) {
  for (const char* path : {"tile/entries/010", "tile/0/010"}) fs::remove(log / path);
  fs::remove_all(log / "tile/entries/011.p");
  fs::remove_all(log / "tile/0/011.p");
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), HasSubstr("log-truncated | leaf 2560"));
  EXPECT_THAT(ids(verdict), Contains("root-differs"));
}

TEST_F(TamperTest, TheCheckpoint) {
  const auto note = read_file(log / "checkpoint");
  const std::size_t root_at = note.find('\n', note.find('\n') + 1) + 3;
  for (const std::size_t at : {std::size_t{3}, note.find('\n') + 2, root_at, note.size() - 20}) {
    write_file(log / "checkpoint", note);
    flip("checkpoint", at);
    EXPECT_THAT(ids(verify()), ElementsAre("checkpoint-unsigned")) << at;
  }
  write_file(log / "checkpoint", note);
  cut("checkpoint");
  EXPECT_THAT(ids(verify()), ElementsAre("checkpoint-unsigned"));
  write_file(log / "checkpoint", note.substr(0, note.find("\n\n") + 1));
  EXPECT_THAT(ids(verify()), ElementsAre("checkpoint-unsigned")) << "without any signature";
}

// The old checkpoint is put back with the files as they were then: only who holds a later one can tell.
TEST_F(TamperTest, AnOlderCopy) {
  write_file(log / "checkpoint", held_[1]);
  EXPECT_TRUE(verify().good()) << "a log that ended there";
  options.held = {{"mine", held_[2]}};
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), HasSubstr("log-shrunk | checkpoint mine | it signs 3000 leaves, and the log has 2560"));
  options.held.clear();
  options.since = HeldNote{"since", held_[2]};
  EXPECT_THAT(text_of(verify()), HasSubstr("log-shrunk | checkpoint since"));
  EXPECT_EQ(verified.read, 2560U) << "all of it";
}

// Leaves are removed, the tree is made anew and signed with the log's own key.
TEST_F(TamperTest, ARewrittenLog) {
  auto other = leaves_of(size);
  auto& leaves = other.leaves();
  const auto time = leaves[250].substr(leaves[250].find("\"time\""));
  leaves[250] = leaves[250].substr(0, leaves[250].find("\"keys\"")) + R"("outcome":"refused",)" + time;
  site_->write_to(log, std::string(log_origin), other);
  options.held = {{"first", held_[0]}, {"last", held_[2]}};
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), HasSubstr("log-rewritten | checkpoint first"));
  EXPECT_THAT(text_of(verdict), HasSubstr("log-forked | checkpoint last"));
  EXPECT_THAT(ids(verdict), Contains("numbers-missing")) << "and its signature is missed";

  options.held.clear();
  options.since = HeldNote{"since", held_[1]};
  EXPECT_THAT(text_of(verify()), HasSubstr("log-rewritten | checkpoint since"));
  options.held = {{"first", held_[0]}};
  EXPECT_THAT(text_of(verify()), HasSubstr("log-rewritten | checkpoint first")) << "by proofs";
}

TEST_F(TamperTest, ACheckpointOfAnotherLogOrSigner) {
  options.held = {{"other", site_->key.sign({"demo.example/node-1/2019", 3, {}})},
                  {"forged", SoftwareKey().sign({std::string(log_origin), 300, {}})}};
  const auto verdict = verify();
  EXPECT_THAT(text_of(verdict), HasSubstr("checkpoint-of-other-log | checkpoint other"));
  EXPECT_THAT(text_of(verdict), HasSubstr("checkpoint-unsigned | checkpoint forged"));
}

// Two periods: the log of 2025 is closed.
class PeriodsTest : public ::testing::Test, protected Site {
 protected:
  void SetUp() override {
    Log first;
    first.begin().sign(1).sign(2).lost("w-9", 0);
    const auto origin = std::string("demo.example/node-1/2025");
    closed_ = write_to(log / "closed/2025", origin, first, {5}).front();
    const auto checkpoint = tlog::Checkpoint::parse(tlog::Note::parse(closed_)->text).value();
    Log second;
    second.time = first.time;
    second.add("ledger.start",
               {{"origin", "demo.example/node-1"},
                {"previous",
                 {{"origin", origin}, {"root", root_.value_or(tlog::hash_text(checkpoint.root))}, {"size", size_}}}});
    second.wait(1'000'000).sign(3).sign(4);
    write(second);
  }
  std::string closed_;
  std::optional<std::string> root_;
  std::uint64_t size_ = 5;
};

TEST_F(PeriodsTest, AreJudgedAsOneLog) {
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(verified.periods, 2U);
  EXPECT_EQ(verified.read, 8U);
  EXPECT_EQ(verified.origin, log_origin);
}

TEST_F(PeriodsTest, AreJudgedFromACheckpointOfTheClosedOne) {
  options.since = HeldNote{"mine", closed_};
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(verified.read, 3U);
}

TEST_F(PeriodsTest, AreJudgedWithTheNumbersOfTheClosedOne) {
  Verdict alone;
  const auto closed = tlog::open_directory(log / "closed/2025");
  options.numbers = audit::verify(*closed, Trust::of_keys(trusted), {}, alone)->numbers;
  options.since = HeldNote{"mine", closed_};
  const auto verdict = verify();
  EXPECT_THAT(ids(verdict), IsEmpty()) << text_of(verdict);
  EXPECT_TRUE(verified.totals);
}

TEST_F(PeriodsTest, AreMissedWhenNotAtHand) {
  fs::remove_all(log / "closed");
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good());
  EXPECT_THAT(ids(verdict), Contains("period-not-at-hand"));
}

TEST_F(PeriodsTest, MustBeTheOnesThatTheirSuccessorNames) {
  root_ = tlog::hash_text({});
  SetUp();
  EXPECT_THAT(ids(verify()), ElementsAre("previous-differs"));
  root_.reset();
  size_ = 4;
  SetUp();
  EXPECT_THAT(ids(verify()), ElementsAre("previous-differs"));
  size_ = 5;
  SetUp();
  write_to(log / "closed/2025", "demo.example/node-1/2024", leaves_of(5));
  EXPECT_THAT(text_of(verify()), HasSubstr("it is of demo.example/node-1/2024, expected demo.example/node-1/2025"));
}

// Leaves behind the last checkpoint.
class SegmentsTest : public ::testing::Test, protected Site {
 protected:
  void SetUp() override {
    leaves_ = leaves_of(300);
    write(leaves_);
    for (int i = 0; i < 3; ++i) leaves_.sign(299 + static_cast<std::uint64_t>(i));
    segment_from(250);
  }
  void segment_from(std::uint64_t first) {
    options.segments = [this, first](std::uint64_t published, const SegmentSink& sink) -> Result<void> {
      EXPECT_EQ(published, 300U);
      const auto views = leaves_.views();
      for (auto i = first; i < views.size(); ++i) sink(i, views[i]);
      if (damaged_) return errors::make(Category::internal, "ledger-corrupt", "00.leaves at offset 7: damaged");
      return {};
    };
  }
  Log leaves_;
  bool damaged_ = false;
};

TEST_F(SegmentsTest, AreJudgedApart) {
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(verified.size, 300U);
  EXPECT_EQ(verified.awaiting, 3U);
  EXPECT_EQ(verified.read, 303U);
}

TEST_F(SegmentsTest, MustHaveTheLeavesOfTheTree) {
  leaves_.leaves()[260][30] = 'x';
  EXPECT_THAT(text_of(verify()), HasSubstr("segment-differs | leaf 260"));
}

TEST_F(SegmentsTest, MustHaveGoodLeavesBehindTheTree) {
  leaves_.leaves()[301] = "{}";
  EXPECT_THAT(text_of(verify()), HasSubstr("leaf-malformed | leaf 301"));
}

TEST_F(SegmentsTest, TellTheirDamage) {
  damaged_ = true;
  EXPECT_THAT(text_of(verify()), HasSubstr("segment-broken | segments | 00.leaves at offset 7: damaged"));
}

TEST_F(SegmentsTest, AreLeftAloneWhereTheyDoNotFollow) {
  segment_from(302);
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(verified.awaiting, 0U);
}

// The node publishes while its segments are read, and removes those whose leaves are in tiles.
class GrowingLogTest : public ::testing::Test, protected Site {
 protected:
  void SetUp() override {
    leaves_ = leaves_of(300);
    write(leaves_);
    for (std::uint64_t number = 299; number <= 310; ++number) leaves_.sign(number);
    options.segments = [this](std::uint64_t published, const SegmentSink& sink) { return read(published, sink); };
  }
  Result<void> read(std::uint64_t published, const SegmentSink& sink) {
    asked_.push_back(published);
    const auto views = leaves_.views();
    if (asked_.size() == 1) {
      for (std::uint64_t i = 280; i < first_end_; ++i) sink(i, views[i]);
      meanwhile_();
      return gone_;
    }
    for (auto i = again_from_; i < views.size(); ++i) sink(i, views[i]);
    return again_;
  }
  void publish(std::size_t size) {
    LogFiles files(log, std::string(log_origin), key);
    for (const auto leaf : leaves_.views()) {
      if (files.size() < size) files.add(leaf);
    }
    files.publish();
  }

  Log leaves_;
  std::vector<std::uint64_t> asked_;
  std::uint64_t first_end_ = 302;   // of the leaves that are read before the node publishes
  std::uint64_t again_from_ = 290;  // the first leaf when they are read again
  std::function<void()> meanwhile_ = [this] { publish(305); };
  Error gone_ = errors::make(Category::internal, "ledger-corrupt", "log: expected a segment with leaf 299");
  Result<void> again_;
};

TEST_F(GrowingLogTest, IsReadOnFromItsNewCheckpoint) {
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_THAT(asked_, ElementsAre(300, 305));
  EXPECT_EQ(verified.size, 300U) << "what was verified";
  EXPECT_EQ(verified.awaiting, 12U);
  EXPECT_EQ(verified.read, 312U);
}

TEST_F(GrowingLogTest, MayLoseASegmentThatIsAboutToBeOpened) {
  gone_ = errors::make(Category::unavailable, "ledger-unavailable", "cannot open");
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(verified.awaiting, 12U);
}

TEST_F(GrowingLogTest, LeavesWhatIsMissingBetweenToTheNextVerification) {
  again_from_ = 304;
  const auto verdict = verify();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  EXPECT_EQ(verified.awaiting, 2U);
}

TEST_F(GrowingLogTest, IsComparedWithItsTreeOnce) {
  leaves_.leaves()[295][30] = 'x';
  meanwhile_ = [this] { write_file(log / "checkpoint", key.sign({std::string(log_origin), 305, {}})); };
  const auto verdict = verify();
  EXPECT_THAT(ids(verdict), ElementsAre("segment-differs")) << text_of(verdict);
}

TEST_F(GrowingLogTest, TellsDamageThatGrowthDoesNotExplain) {
  again_ = errors::make(Category::internal, "ledger-corrupt", "damaged");
  EXPECT_THAT(text_of(verify()), HasSubstr("segment-broken | segments | damaged"));
  EXPECT_THAT(asked_, ElementsAre(300, 305));
}

TEST_F(GrowingLogTest, MustSignThatItGrew) {
  const std::string origin(log_origin);
  const std::function<void()> untrue[] = {
      [] {},
      [&] {
        write_file(log / "checkpoint", SoftwareKey().sign({origin, 305, {}}));
      },
      [&] {
        write_file(log / "checkpoint", key.sign({"demo.example/node-1/2027", 305, {}}));
      },
      [&] { fs::remove(log / "checkpoint"); },
  };
  for (const auto& one : untrue) {
    publish(300);
    asked_.clear();
    meanwhile_ = one;
    EXPECT_THAT(text_of(verify()), HasSubstr("segment-broken | segments | log: expected a segment with leaf 299"));
    EXPECT_THAT(asked_, ElementsAre(300));
  }
}

TEST_F(GrowingLogTest, IsNotJudgedWhereItsSegmentsCannotBeRead) {
  meanwhile_ = [] {};
  gone_ = errors::make(Category::unavailable, "ledger-unavailable", "cannot open: Permission denied");
  Verdict verdict;
  const auto result = audit::verify(*tlog::open_directory(log), Trust::of_keys(trusted), options, verdict);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, "ledger-unavailable");
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
}

}  // namespace
}  // namespace avseal::audit::test
