#include "keyring/queue.hpp"

#include <gtest/gtest.h>

namespace avseal::keyring {
namespace {

using namespace std::chrono_literals;

class QueueTest : public ::testing::Test {
 protected:
  Request& wait(Priority priority = Priority::live) {
    auto& request = requests.emplace_back();
    request.priority = priority;
    queue.push_back(request);
    return request;
  }
  // While something waits: one answer each 2 ms, for as long as it takes to know the rate.
  void serve(std::chrono::milliseconds each = 2ms, int answers = 200) {
    for (int i = 0; i < answers; ++i) queue.answered(now += each);
  }

  std::deque<Request> requests;
  RequestQueue queue{8};
  Instant now{1h};
};

TEST_F(QueueTest, ExpectsTheWaitByTheMeasuredRate) {
  wait();
  EXPECT_EQ(queue.expected_wait(Priority::live), 0us) << "not known yet";
  serve();
  EXPECT_NEAR(static_cast<double>(queue.expected_wait(Priority::live).count()), 2000, 200);
  wait();
  EXPECT_NEAR(static_cast<double>(queue.expected_wait(Priority::live).count()), 4000, 400);
}

TEST_F(QueueTest, BatchWorkWaitsForLiveRequestsButNotTheOtherWayRound) {
  wait();
  wait(Priority::batch);
  serve();
  EXPECT_NEAR(static_cast<double>(queue.expected_wait(Priority::live).count()), 2000, 200);
  EXPECT_NEAR(static_cast<double>(queue.expected_wait(Priority::batch).count()), 4000, 400);
}

TEST_F(QueueTest, PausesAreNoSlowService) {
  wait();
  serve();
  now += 10s;  // an outage
  serve(2ms, 5);
  EXPECT_NEAR(static_cast<double>(queue.expected_wait(Priority::live).count()), 2000, 200);
}

TEST_F(QueueTest, AnswersWhileNothingWaitsSayNothing) {
  serve(50ms);
  wait();
  EXPECT_EQ(queue.expected_wait(Priority::live), 0us);
}

TEST_F(QueueTest, FollowsTheRate) {
  wait();
  serve();
  serve(10ms);
  EXPECT_NEAR(static_cast<double>(queue.expected_wait(Priority::live).count()), 10'000, 1000);
}

TEST_F(QueueTest, TellsWhenToTryAgain) {
  for (int i = 0; i < 8; ++i) wait();
  EXPECT_EQ(queue.retry_after(), 1s);
  serve(150ms);
  EXPECT_EQ(queue.retry_after(), 2s) << "8 times 150 ms";
}

TEST_F(QueueTest, HasRoomForLiveRequestsWhenBatchWorkHasNone) {
  for (int i = 0; i < 4; ++i) wait(Priority::batch);
  EXPECT_FALSE(queue.has_room(Priority::batch));
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(queue.has_room(Priority::live));
    wait();
  }
  EXPECT_FALSE(queue.has_room(Priority::live));
  queue.erase(requests.front());
  EXPECT_TRUE(queue.has_room(Priority::live));
}

}  // namespace
}  // namespace avseal::keyring
