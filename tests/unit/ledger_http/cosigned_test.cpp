#include "ledger_http/cosigned.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tlog/keys.hpp"
#include "tlog/checkpoint.hpp"

namespace avseal::ledger_http {
namespace {

class CosignedTest : public ::testing::Test {
 protected:
  [[nodiscard]] ledger::Published published(std::uint64_t size, std::string origin = "log.example/2026") const {
    const tlog::Checkpoint head{std::move(origin), size, {}};
    return {head.origin, size, head.root, tlog::Note{head.text(), {log_.sign(head.text())}}.to_string()};
  }
  void sign(const ledger::Published& checkpoint, const tlog::Cosigner& witness, UnixSeconds time = 1) {
    const auto note = tlog::Note::parse(checkpoint.note).value();
    cosigned_.add(checkpoint, witness.cosign(note.text, time));
  }
  // Of the checkpoint that a receipt of the leaf is made with; 0: none yet.
  [[nodiscard]] std::uint64_t size_for(std::uint64_t index) const {
    const auto found = cosigned_.covering("log.example/2026", index);
    return found ? found->size : 0;
  }

  tlog::Signer log_{"log.example/2026", "P-256"};
  tlog::Cosigner w1_{"w1.example"};
  tlog::Cosigner w2_{"w2.example"};
  Cosigned cosigned_;
};

TEST_F(CosignedTest, NobodyIsWaitedForWhenNoneIsAtHand) {
  EXPECT_FALSE(cosigned_.awaited());
  sign(published(3), w1_);
  EXPECT_EQ(size_for(0), 0U);
  cosigned_.use({w1_.key()});
  EXPECT_TRUE(cosigned_.awaited());
  cosigned_.use({});
  EXPECT_FALSE(cosigned_.awaited());
}

TEST_F(CosignedTest, IsSignedByAllThatAreAtHand) {
  cosigned_.use({w1_.key(), w2_.key()});
  sign(published(3), w1_);
  EXPECT_EQ(size_for(0), 0U);
  sign(published(3), w2_);
  EXPECT_EQ(size_for(0), 3U);
  EXPECT_EQ(size_for(2), 3U);
  EXPECT_EQ(size_for(3), 0U) << "the leaf behind it";
  const auto note = tlog::Note::parse(cosigned_.covering("log.example/2026", 0)->note).value();
  EXPECT_EQ(note.signatures.size(), 3U);
  for (const auto& key : {log_.key(), w1_.key(), w2_.key()}) EXPECT_TRUE(tlog::signers(note, {&key, 1}));

  sign(published(9), w1_);
  EXPECT_EQ(size_for(0), 3U);
  EXPECT_EQ(size_for(5), 0U);
  cosigned_.use({w1_.key()});
  EXPECT_EQ(size_for(5), 9U) << "w2 went away";
}

TEST_F(CosignedTest, ASlowWitnessSignsWhatIsNotTheLatest) {
  cosigned_.use({w1_.key(), w2_.key()});
  for (const std::uint64_t size : {3, 4, 5}) sign(published(size), w1_);
  sign(published(4), w2_);
  EXPECT_EQ(size_for(2), 4U);
  EXPECT_EQ(size_for(4), 0U);
  sign(published(3), w2_);
  EXPECT_EQ(size_for(2), 4U) << "the largest";
}

TEST_F(CosignedTest, ANewSignatureReplacesTheOld) {
  cosigned_.use({w1_.key()});
  for (UnixSeconds time = 1; time <= 100; ++time) sign(published(3), w1_, time);
  const auto note = tlog::Note::parse(cosigned_.covering("log.example/2026", 0)->note).value();
  ASSERT_EQ(note.signatures.size(), 2U);
  EXPECT_EQ(w1_.key().verify(note.text, note.signatures[1].bytes).value(), 100);
}

TEST_F(CosignedTest, LogsOfOtherYearsAreOthers) {
  cosigned_.use({w1_.key()});
  sign(published(100, "log.example/2025"), w1_);
  EXPECT_EQ(size_for(0), 0U);
  sign(published(1), w1_);
  EXPECT_EQ(size_for(0), 1U);
}

TEST_F(CosignedTest, RemembersTheLatestOnly) {
  cosigned_.use({w1_.key()});
  for (std::uint64_t size = 1; size <= 200; ++size) sign(published(size), w1_);
  EXPECT_EQ(size_for(0), 200U);
  cosigned_.use({w1_.key(), w2_.key()});
  sign(published(1), w2_);
  EXPECT_EQ(size_for(0), 0U) << "what w1 signed of it is forgotten";
}

}  // namespace
}  // namespace avseal::ledger_http
