// Logs judged by a policy that wants witnesses.
#include <thread>

#include "site.hpp"
#include "tests/unit/tlog/keys.hpp"

namespace avseal::audit::test {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class QuorumTest : public ::testing::Test, protected Site {
 protected:
  void SetUp() override { write(leaves_of(300)); }
  // The checkpoint, with signatures of these witnesses beside what it has.
  void cosign(std::initializer_list<const tlog::Cosigner*> witnesses, std::string_view what = {}) const {
    auto note = tlog::Note::parse(read_file(log / "checkpoint")).value();
    for (const auto* witness : witnesses) {
      note.signatures.push_back(witness->cosign(what.empty() ? note.text : what, 1'700'000'000));
    }
    const auto unfinished = log / "checkpoint.new";
    write_file(unfinished, note.to_string());
    fs::rename(unfinished, log / "checkpoint");
  }
  [[nodiscard]] Verdict judge(std::string_view quorum) const {
    const auto policy =
        fmt::format("log {}\nwitness w1 {}\nwitness w2 {}\nwitness w3 {}\ngroup two 2 w1 w2 w3\nquorum {}\n",
                    trusted[0].text(), w1_.key().text(), w2_.key().text(), w3_.key().text(), quorum);
    Verdict verdict;
    const auto trust = Trust::of_policy(tlog::Policy::parse(policy).value());
    EXPECT_TRUE(audit::verify(*tlog::open_directory(log), trust, options, verdict));
    return verdict;
  }

  tlog::Cosigner w1_{"w1.example"};
  tlog::Cosigner w2_{"w2.example"};
  tlog::Cosigner w3_{"w3.example"};
};

TEST_F(QuorumTest, IsMetByAsManyWitnessesAsThePolicyWants) {
  EXPECT_TRUE(judge("none").good());
  EXPECT_THAT(text_of(judge("w2")), HasSubstr("0 of 3 witnesses cosigned"));
  cosign({&w1_});
  EXPECT_TRUE(judge("w1").good());
  EXPECT_THAT(ids(judge("w2")), ElementsAre("checkpoint-unsigned"));
  EXPECT_THAT(text_of(judge("two")), HasSubstr("1 of 3 witnesses cosigned"));
  cosign({&w3_});
  const auto verdict = judge("two");
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
}

TEST_F(QuorumTest, IsNotMetByAStrangerNorForAnotherCheckpoint) {
  const tlog::Cosigner stranger("w1.example");
  cosign({&stranger});
  EXPECT_THAT(text_of(judge("w1")), HasSubstr("0 of 3 witnesses cosigned"));
  cosign({&w1_}, "another text\n");
  cosign({&w2_, &w3_});
  EXPECT_THAT(ids(judge("w1")), ElementsAre("checkpoint-unsigned"));
  EXPECT_THAT(ids(judge("two")), ElementsAre("checkpoint-unsigned")) << "a wrong signature spoils the rest";
  EXPECT_TRUE(judge("none").good()) << "who asks for no witness does not look at them";
}

TEST_F(QuorumTest, IsWaitedForWhileALogGrows) {
  std::thread witness([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cosign({&w1_});
  });
  options.patience = std::chrono::seconds(60);
  const auto verdict = judge("w1");
  witness.join();
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
}

// The witnesses of a log have seen what it says of the one before it.
TEST_F(QuorumTest, OfTheSuccessorStandsForAClosedLog) {
  fs::remove_all(log);
  const std::string origin = "demo.example/node-1/2025";
  Log first;
  first.begin().sign(1);
  write_to(log / "closed/2025", origin, first);
  const auto note = tlog::Note::parse(read_file(log / "closed/2025/checkpoint")).value();
  const auto closed = tlog::Checkpoint::parse(note.text).value();
  Log second;
  second.time = first.time;
  const boost::json::object previous{{"origin", origin}, {"root", tlog::hash_text(closed.root)}, {"size", closed.size}};
  second.add("ledger.start", {{"origin", "demo.example/node-1"}, {"previous", previous}}).sign(2);
  write(second);
  EXPECT_THAT(ids(judge("w1")), ElementsAre("checkpoint-unsigned"));
  cosign({&w1_});
  const auto verdict = judge("w1");
  EXPECT_TRUE(verdict.good()) << text_of(verdict);
  write_file(log / "closed/2025/checkpoint", SoftwareKey().sign(closed));
  EXPECT_THAT(ids(judge("w1")), ElementsAre("checkpoint-unsigned")) << "the log itself must have signed it";
}

}  // namespace
}  // namespace avseal::audit::test
