// Checkpoints of years before those that are read.
#include "site.hpp"

namespace avseal::audit::test {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t year_size = 600;

std::string origin_of(int year) {
  return fmt::format("demo.example/node-1/{}", year);
}

// A log whose files, but for one, are there.
class Unreadable final : public tlog::Source {
 public:
  Unreadable(const tlog::Source& source, std::string path) : source_(source), path_(std::move(path)) {}
  [[nodiscard]] Result<Bytes> read(const std::string& path) const override {
    if (path == path_) return errors::make(Category::unavailable, "log-unreadable", path + ": status 502");
    return source_.read(path);
  }
  [[nodiscard]] std::string describe(const std::string& path) const override { return source_.describe(path); }

 private:
  const tlog::Source& source_;
  const std::string path_;
};

// But for the note that is due where no numbers were saved.
std::vector<std::string> findings(const Verdict& verdict) {
  auto found = ids(verdict);
  std::erase(found, "numbers-not-judged");
  return found;
}

// 2024 and 2025 are closed, each named by its successor; of all three checkpoints at some sizes are held.
class YearsTest : public ::testing::Test, protected Site {
 protected:
  static constexpr std::uint64_t sizes[] = {1, 300, year_size};

  void SetUp() override {
    Log first = leaves_of(year_size);
    notes_[2024] = write_year(2024, first);
    number_ = year_size - 2;
    Log second = next_year(2024, first.time);
    notes_[2025] = write_year(2025, second);
    notes_[2026] = write_year(2026, next_year(2025, second.time));
  }
  std::vector<std::string> write_year(int year, const Log& of) {
    return write_to(files_of(year), origin_of(year), of, {std::begin(sizes), std::end(sizes)});
  }
  [[nodiscard]] fs::path files_of(int year) const { return year == 2026 ? log : log / "closed" / std::to_string(year); }
  Log next_year(int before, std::int64_t time) {
    const auto note = read_file(files_of(before) / "checkpoint");
    const auto last = tlog::Checkpoint::parse(tlog::Note::parse(note)->text).value();
    Log year;
    year.time = time;
    year.add("ledger.start",
             {{"origin", "demo.example/node-1"},
              {"previous", {{"origin", last.origin}, {"root", tlog::hash_text(last.root)}, {"size", last.size}}}});
    while (year.leaves().size() < year_size) year.sign(++number_);
    return year;
  }
  [[nodiscard]] HeldNote held(int year, std::size_t size) const {
    return {fmt::format("{}-{}", year, sizes[size]), notes_.at(year)[size]};
  }
  void hold_all_of(int year) {
    for (std::size_t i = 0; i < std::size(sizes); ++i) options.held.push_back(held(year, i));
  }
  [[nodiscard]] std::size_t continued(const Verdict& verdict) const {
    const auto text = text_of(verdict);
    std::size_t count = 0;
    for (auto at = text.find("checkpoint-continued"); at != std::string::npos;
         at = text.find("checkpoint-continued", at + 1)) {
      ++count;
    }
    return count;
  }
  Result<Verified> verify_without(const std::string& path, Verdict& verdict) const {
    const auto files = tlog::open_directory(log);
    return audit::verify(Unreadable(*files, path), Trust::of_keys(trusted), options, verdict);
  }

  std::map<int, std::vector<std::string>> notes_;
  std::uint64_t number_ = 0;
};

TEST_F(YearsTest, AreHeldToTheirCheckpointsAndNotRead) {
  hold_all_of(2024);
  hold_all_of(2025);
  options.since = held(2026, 1);
  auto verdict = verify();
  EXPECT_THAT(findings(verdict), IsEmpty()) << text_of(verdict);
  EXPECT_EQ(continued(verdict), 7U);
  EXPECT_EQ(verified.read, year_size - 300);
  EXPECT_EQ(verified.periods, 1U);

  options.since = held(2025, 1);
  verdict = verify();
  EXPECT_THAT(findings(verdict), IsEmpty()) << text_of(verdict);
  EXPECT_EQ(continued(verdict), 7U);
  EXPECT_EQ(verified.read, 2 * year_size - 300);
  EXPECT_EQ(verified.periods, 2U);
}

TEST_F(YearsTest, AreLookedForOnlyWhereACheckpointAsksForThem) {
  options.since = held(2026, 1);
  hold_all_of(2026);
  Verdict verdict;
  EXPECT_TRUE(verify_without("tile/entries/000", verdict));
  EXPECT_THAT(findings(verdict), IsEmpty()) << text_of(verdict);
}

TEST_F(YearsTest, MustContinueWhatIsHeld) {
  options.since = held(2026, 1);
  options.held = {{"altered", key.sign({origin_of(2024), 300, {}})},
                  {"forked", key.sign({origin_of(2024), year_size, {}})},
                  {"larger", key.sign({origin_of(2024), year_size + 1, {}})}};
  const auto verdict = verify();
  EXPECT_THAT(findings(verdict), ElementsAre("log-rewritten", "log-forked", "log-shrunk")) << text_of(verdict);
}

TEST_F(YearsTest, MustBeThoseThatTheirSuccessorsName) {
  options.since = held(2026, 1);
  options.held = {held(2024, 0)};
  write_year(2024, leaves_of(year_size - 1));
  EXPECT_THAT(findings(verify()), ElementsAre("previous-differs"));
}

TEST_F(YearsTest, AreNamedOnlyByALeafThatIsProved) {
  options.since = held(2026, 1);
  options.held = {held(2024, 0)};
  const auto entries = files_of(2025) / "tile/entries/000";
  auto bytes = read_file(entries);
  const auto time = bytes.find(R"("time":17)") + 7;
  bytes[time] = '2';
  write_file(entries, bytes);
  const auto verdict = verify();
  EXPECT_THAT(findings(verdict), ElementsAre("previous-differs"));
  EXPECT_THAT(text_of(verdict), HasSubstr("leaf 0 of demo.example/node-1/2025, which names it, is not proved"));
}

TEST_F(YearsTest, AreMissedWhereACheckpointAsksForThem) {
  options.since = held(2026, 1);
  options.held = {held(2024, 0)};
  fs::remove_all(files_of(2024));
  const auto verdict = verify();
  EXPECT_THAT(findings(verdict), ElementsAre("checkpoint-of-other-log"));
  EXPECT_THAT(text_of(verdict), HasSubstr("of which demo.example/node-1/2024 and what is before it are not at hand"));
}

TEST_F(YearsTest, OfAnotherLogAreRefusedStill) {
  options.since = held(2026, 1);
  options.held = {{"other", key.sign({"demo.example/node-1/2019", 3, {}})}};
  EXPECT_THAT(findings(verify()), ElementsAre("checkpoint-of-other-log"));
}

TEST_F(YearsTest, ThatCannotBeReadLeaveTheLogUnjudged) {
  Verdict whole;
  for (const char* path : {"closed/2025/checkpoint", "closed/2024/checkpoint", "closed/2025/tile/entries/000"}) {
    const auto result = verify_without(path, whole);
    ASSERT_FALSE(result) << path;
    EXPECT_EQ(result.error().reason, "log-unreadable");
  }
  EXPECT_THAT(findings(whole), IsEmpty()) << "least of all as one that is not at hand";
}

TEST_F(YearsTest, WhoseProofsCannotBeReadAreNotAccused) {
  options.since = held(2026, 1);
  options.held = {held(2025, 1), held(2024, 1)};
  Verdict verdict;
  for (const char* path : {"tile/entries/000", "tile/0/000", "closed/2025/tile/0/001", "closed/2025/tile/0/000",
                           "closed/2024/tile/0/001"}) {
    const auto result = verify_without(path, verdict);
    ASSERT_FALSE(result) << path;
    EXPECT_EQ(result.error().reason, "log-unreadable");
  }
  EXPECT_THAT(findings(verdict), IsEmpty());
}

TEST_F(YearsTest, APartThatIsNotReadIsNotAccusedEither) {
  options.since = held(2026, 2);
  options.held = {held(2026, 1)};
  Verdict verdict;
  ASSERT_FALSE(verify_without("tile/0/001", verdict));
  EXPECT_THAT(findings(verdict), IsEmpty());
}

}  // namespace
}  // namespace avseal::audit::test
