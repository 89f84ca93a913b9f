#include "core/lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/support/soon.h"

namespace farandole {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::soon;

TEST(Lane, RunsWorkInOrderWithoutHelp) {
  std::vector<int> order;
  {
    Lane lane("lane-test");
    for (int i = 0; i < 100; ++i) lane.post([&order, i] { order.push_back(i); });
    EXPECT_TRUE(lane.drain_until(soon()));
  }
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Lane, WorkNeverRunsTwiceOrAtOnceWithManyHelpers) {
  Lane lane("lane-test");
  std::atomic<int> inside{0};
  std::atomic<int> ran{0};
  std::atomic<bool> overlapped{false};
  std::vector<std::thread> helpers;
  for (int t = 0; t < 4; ++t) {
    helpers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        Ticket ticket;
        lane.post([&] {
          overlapped = overlapped || inside.fetch_add(1) != 0;
          ++ran;
          inside.fetch_sub(1);
          ticket.settle({});
        });
        EXPECT_TRUE(lane.help_until(ticket, soon()));
      }
    });
  }
  for (std::thread& t : helpers) t.join();
  EXPECT_TRUE(lane.drain_until(soon()));
  EXPECT_EQ(ran, 2000);
  EXPECT_FALSE(overlapped);
}

TEST(Lane, NobodyWaitsInALaneThatWasGivenUp) {
  std::promise<void> entered, open;
  Ticket never;
  Lane lane("lane-test");
  lane.post([&] {
    entered.set_value();
    open.get_future().wait();
  });
  entered.get_future().wait();
  std::thread waiter([&] { EXPECT_FALSE(lane.help_until(never, soon() + 1min)); });
  const TimePoint begin = steady_now();
  lane.give_up();
  waiter.join();
  EXPECT_FALSE(lane.help_until(never, soon() + 1min));
  EXPECT_LT(steady_now() - begin, 1min);
  open.set_value();
}

TEST(Lane, AHelperThatGivesUpLeavesTheWorkToTheLane) {
  Lane lane("lane-test");
  Ticket never;
  EXPECT_FALSE(lane.help_until(never, steady_now() + 5ms));
  std::promise<void> ran;
  lane.post([&] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(20s), std::future_status::ready);
}

TEST(Lane, DrainingEndsAtItsDeadline) {
  Lane lane("lane-test");
  std::promise<void> release;
  lane.post([&] { release.get_future().wait(); });
  EXPECT_FALSE(lane.drain_until(steady_now() + 5ms));
  release.set_value();
  EXPECT_TRUE(lane.drain_until(soon()));
}

}  // namespace
}  // namespace farandole
