#include "service/operator_change.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.hpp"

namespace avseal::service::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OperatorChangeTest : public WithLedger {
 protected:
  Result<void> change(Result<void> outcome) {
    ledger::Event event;
    event.type = "token.drained";
    event.client = "operator-1";
    event.details = {{"token", "hsm-a"}};
    return run(logged_change(*ledger, *own_leaves, std::move(event), [&]() -> boost::asio::awaitable<Result<void>> {
      leaves_before = leaves().size();
      co_return outcome;
    }));
  }
  std::size_t leaves_before = 0;
};

TEST_F(OperatorChangeTest, HappensAfterItsLeafIsOnDisk) {
  EXPECT_TRUE(change({}));
  EXPECT_EQ(leaves_before, 1U);
  EXPECT_THAT(leaves(), ElementsAre(AllOf(HasSubstr("token.drained"), HasSubstr("operator-1"), HasSubstr("released"))));
}

TEST_F(OperatorChangeTest, LeavesASecondLeafIfItFails) {
  const auto failed = change(errors::make(Category::conflict, "token-last-replica", "the last one"));
  EXPECT_EQ(failed.error().reason, "token-last-replica");
  own_leaves->finish();
  EXPECT_THAT(leaves(), ElementsAre(HasSubstr("released"), AllOf(HasSubstr("discarded"), HasSubstr("operator-1"),
                                                                 HasSubstr("token-last-replica"))));
}

TEST_F(OperatorChangeTest, DoesNotHappenUnlogged) {
  ledger->close();
  bool happened = false;
  EXPECT_FALSE(run(logged_change(*ledger, *own_leaves, {}, [&]() -> boost::asio::awaitable<Result<void>> {
    happened = true;
    co_return Result<void>{};
  })));
  EXPECT_FALSE(happened);
}

}  // namespace
}  // namespace avseal::service::test
