#include "service/own_leaves.hpp"

#include <future>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "support.hpp"

namespace avseal::service::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class OwnLeavesTest : public WithLedger {
 protected:
  void fill_disk() {
    disk->full = true;
    own_leaves->tell("test.last", {}).wait();  // after a batch the log looks at the space
    ASSERT_EQ(ledger->healthy().error().reason, "ledger-full");
  }
};

TEST_F(OwnLeavesTest, AreOnDiskInTheirOrderWhenTheyAreReady) {
  for (int i = 0; i < 20; ++i) own_leaves->tell("test.leaf", {{"n", i}});
  own_leaves->tell("test.end", {{"n", 20}}, ledger::Outcome::refused, "a-reason").wait();
  const auto all = leaves();
  ASSERT_EQ(all.size(), 21U);
  for (int i = 0; i < 21; ++i) {
    EXPECT_EQ(boost::json::parse(all[static_cast<std::size_t>(i)]).at("details").as_object(),
              (boost::json::object{{"n", i}}));
  }
  EXPECT_THAT(all.back(), AllOf(HasSubstr("test.end"), HasSubstr("refused"), HasSubstr("a-reason")));
}

TEST_F(OwnLeavesTest, WaitForAFullLogAndSayHowLong) {
  fill_disk();
  const auto first = own_leaves->tell("test.first", {{"n", 1}});
  const auto second = own_leaves->tell("test.second", {});
  EXPECT_EQ(second.wait_for(600ms), std::future_status::timeout);
  EXPECT_THAT(leaves(), ElementsAre(HasSubstr("test.last")));
  disk->full = false;
  second.wait();
  EXPECT_THAT(leaves(), ElementsAre(AllOf(HasSubstr("test.last"), Not(HasSubstr("waited_ms"))),
                                    AllOf(HasSubstr("test.first"), HasSubstr(R"("n":1,"waited_ms":)")),
                                    AllOf(HasSubstr("test.second"), HasSubstr("waited_ms"))))
      << "and those behind them";
}

TEST_F(OwnLeavesTest, GoIntoTheReserveWhenTheServiceEnds) {
  fill_disk();
  own_leaves->tell("test.first", {});
  own_leaves->tell("test.second", {});
  own_leaves->finish();
  EXPECT_THAT(leaves(), ElementsAre(HasSubstr("test.last"), HasSubstr("test.first"), HasSubstr("test.second")));
}

TEST_F(OwnLeavesTest, ThatWaitAreWrittenAtTheEndAlsoWhenMoreWereToldThanMayWait) {
  fill_disk();
  std::vector<std::shared_future<void>> told;
  for (int i = 0; i < 16384 + 100; ++i) told.push_back(own_leaves->tell("test.leaf", {{"n", i}}));
  told.back().wait();  // lost at once, for too many wait
  EXPECT_EQ(told.front().wait_for(0s), std::future_status::timeout);
  own_leaves->finish();
  for (const auto& one : told) ASSERT_EQ(one.wait_for(0s), std::future_status::ready);
  const auto all = leaves();
  ASSERT_GE(all.size(), 1U + 16384U);
  ASSERT_LT(all.size(), 1U + 16384U + 100U);
  for (std::size_t i = 1; i < all.size(); ++i) {
    ASSERT_EQ(boost::json::parse(all[i]).at("details").at("n").as_int64(), static_cast<std::int64_t>(i - 1));
  }
}

TEST_F(OwnLeavesTest, DoNotWaitForALogThatHasStoppedAndAreCounted) {
  ledger->close();
  const auto stop = leaves();
  own_leaves->tell("test.lost", {}).wait();
  EXPECT_EQ(leaves(), stop);
  EXPECT_THAT(prometheus::TextSerializer().Serialize(metrics.Collect()),
              HasSubstr("\navseal_ledger_leaves_lost_total 1"));
}

}  // namespace
}  // namespace avseal::service::test
