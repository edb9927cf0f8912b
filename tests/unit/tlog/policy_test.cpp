#include "tlog/policy.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/tlog/keys.hpp"

namespace avseal::tlog {
namespace {

class PolicyTest : public ::testing::Test {
 protected:
  Note cosigned_by(std::initializer_list<const Cosigner*> witnesses) const {
    Note note{text_, {log_.sign(text_)}};
    for (const auto* witness : witnesses) note.signatures.push_back(witness->cosign(text_, 1));
    return note;
  }
  std::string policy(std::string_view groups) const {
    return fmt::format(
        "# trust\nlog {} https://log.example\n\nwitness w1 {}\nwitness w2 {} https://w2.example\n\twitness w3 {}\n{}",
        log_.key().text(), w1_.key().text(), w2_.key().text(), w3_.key().text(), groups);
  }
  std::string text_ = "log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
  Signer log_{"log.example/1", "P-256"};
  Cosigner w1_{"witness.example/1"};
  Cosigner w2_{"witness.example/2"};
  Cosigner w3_{"witness.example/3"};
};

TEST_F(PolicyTest, AQuorumIsWhatItsGroupsSay) {
  const auto read = Policy::parse(policy("group ab 2 w1 w2\ngroup all-of-it any ab w3\nquorum all-of-it\n"));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->check(cosigned_by({&w1_, &w2_})).value()->url, "https://log.example");
  EXPECT_TRUE(read->check(cosigned_by({&w3_})));
  EXPECT_EQ(read->check(cosigned_by({&w1_})).error().reason, "quorum-missed");
  EXPECT_EQ(read->check(cosigned_by({})).error().reason, "quorum-missed");
  Note unsigned_note = cosigned_by({&w3_});
  unsigned_note.signatures.erase(unsigned_note.signatures.begin());
  EXPECT_EQ(read->check(unsigned_note).error().reason, "note-signature-missing");
  Note wrong = cosigned_by({&w3_});
  wrong.signatures.back().bytes[20] ^= 1U;
  EXPECT_EQ(read->check(wrong).error().reason, "note-signature-wrong");
}

TEST_F(PolicyTest, AQuorumOfNoneAsksForTheLogAlone) {
  const auto read = Policy::parse(fmt::format("log {}\nquorum none\n", log_.key().text()));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_TRUE(read->check(cosigned_by({})));
}

TEST_F(PolicyTest, ALogSignsForItsOwnOriginOnly) {
  const auto read = Policy::parse(fmt::format("log {}\nquorum none\n", log_.key().text()));
  text_.replace(0, text_.find('\n'), "log.example/2");
  EXPECT_EQ(read->check(cosigned_by({})).error().reason, "note-signature-missing");
}

TEST_F(PolicyTest, WhatCannotBeMeantIsRefusedWithItsLine) {
  const std::string log = "log " + log_.key().text() + "\n";
  for (const std::string& wrong : {std::string(),
                                   std::string("quorum none\n"),
                                   log,
                                   log + "\r\nquorum none\n",
                                   "log " + w1_.key().text() + "\nquorum none\n",
                                   log + "quorum w1\n",
                                   log + "quorum none\nquorum none\n",
                                   log + log + "quorum none\n",
                                   log + "witness none " + w1_.key().text() + "\nquorum none\n",
                                   log + "witness w1 " + log_.key().text() + "\nquorum none\n",
                                   log + "what is this\nquorum none\n",
                                   policy("group g 3 w1 w2\nquorum g\n"),
                                   policy("group g 0 w1\nquorum g\n"),
                                   policy("group g any w9\nquorum g\n"),
                                   policy("group w1 any w2\nquorum w1\n"),
                                   policy("group g any w1 w1\nquorum g\n"),
                                   policy("group g any none\nquorum g\n"),
                                   policy("group g some w1\nquorum g\n"),
                                   policy("witness w4 " + w1_.key().text() + "\nquorum w1\n"),
                                   policy("quorum w1 w2\n"),
                                   policy("group g any\nquorum g\n")}) {
    EXPECT_EQ(Policy::parse(wrong).error().reason, "policy-malformed") << wrong;
  }
  EXPECT_TRUE(Policy::parse(log + "what\n").error().detail.starts_with("line 2:"));
}

}  // namespace
}  // namespace avseal::tlog
