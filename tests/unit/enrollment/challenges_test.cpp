#include "enrollment/challenges.hpp"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

namespace avseal::enrollment {
namespace {

using std::chrono::seconds;

class ChallengesTest : public ::testing::Test {
 protected:
  static Challenge challenge(std::uint8_t mark) {
    const auto impu = tokens::Impu::parse("sip:alice@a.example").value();
    const tokens::PublicKey key(std::shared_ptr<EVP_PKEY>(EVP_EC_gen("P-256"), EVP_PKEY_free));
    return {.nonce = {mark},
            .secret = {},
            .impu = impu,
            .code_sha256 = {},
            .keys = {key, {}, {}, key, {}, {}},
            .tpm = {},
            .device = {},
            .ek = {},
            .serial = {},
            .findings = {}};
  }
  std::string_view reason(const std::string& id) {
    const auto taken = challenges_.take(id, now_);
    return taken ? "taken" : taken.error().reason;
  }
  Challenges challenges_{3, seconds(60)};
  Challenges::Time now_{seconds(1'000)};
};

TEST_F(ChallengesTest, AreGivenAwayOnce) {
  const auto id = challenges_.add(challenge(7), now_).value();
  EXPECT_EQ(id.size(), 22U);
  EXPECT_NE(challenges_.add(challenge(8), now_).value(), id);
  EXPECT_EQ(challenges_.take(id, now_)->nonce, Bytes{7});
  const auto again = challenges_.take(id, now_);
  EXPECT_EQ(again.error().reason, "challenge-in-progress");
  EXPECT_GT(again.error().retry_after.count(), 0) << "whose answer is late sends it again";
  challenges_.answered(id);
  EXPECT_EQ(reason(id), "challenge-used");
  now_ += seconds(119);
  EXPECT_EQ(reason(id), "challenge-used");
  now_ += seconds(1);
  EXPECT_EQ(reason(id), "challenge-unknown");
}

TEST_F(ChallengesTest, ExpireAndAreSaidToHaveForAWhile) {
  const auto id = challenges_.add(challenge(7), now_).value();
  now_ += seconds(59);
  const auto other = challenges_.add(challenge(8), now_).value();
  now_ += seconds(1);
  EXPECT_EQ(reason(id), "challenge-expired");
  EXPECT_EQ(reason(id), "challenge-expired");
  EXPECT_EQ(reason(other), "taken");
  now_ += seconds(60);
  EXPECT_EQ(reason(id), "challenge-unknown");
  EXPECT_EQ(reason("AAAAAAAAAAAAAAAAAAAAAA"), "challenge-unknown");
}

TEST_F(ChallengesTest, AreBoundedAndMakeRoomWhenAnsweredOrExpired) {
  std::vector<std::string> ids;
  for (std::uint8_t i = 0; i < 3; ++i) ids.push_back(challenges_.add(challenge(i), now_).value());
  const auto refused = challenges_.add(challenge(9), now_);
  EXPECT_EQ(refused.error().reason, "challenges-exhausted");
  EXPECT_EQ(refused.error().category, Category::too_many_requests);
  EXPECT_EQ(challenges_.check_room(now_).error().reason, "challenges-exhausted");
  EXPECT_EQ(reason(ids[1]), "taken");
  ASSERT_TRUE(challenges_.check_room(now_));
  ASSERT_TRUE(challenges_.add(challenge(9), now_));
  now_ += seconds(60);
  EXPECT_TRUE(challenges_.add(challenge(10), now_));
}

}  // namespace
}  // namespace avseal::enrollment
