#include "core/base/yield_habit.h"

#include <gtest/gtest.h>

namespace farandole {
namespace {

TEST(YieldHabit, PaysWhileItIsQuick) {
  YieldHabit habit;
  for (int wait = 0; wait < 1000; ++wait) {
    ASSERT_TRUE(habit.pays());
    EXPECT_TRUE(habit.came_back_after(YieldHabit::kLong - Duration(1)));
  }
}

TEST(YieldHabit, IsLeftOutForAWhileOnceItTookLongAndThenTriedAgain) {
  YieldHabit habit;
  ASSERT_TRUE(habit.pays());
  EXPECT_FALSE(habit.came_back_after(YieldHabit::kLong));
  for (int wait = 0; wait < YieldHabit::kWaitsWithout; ++wait) ASSERT_FALSE(habit.pays()) << wait;
  EXPECT_TRUE(habit.pays());
  EXPECT_TRUE(habit.came_back_after(Duration(0)));
  EXPECT_TRUE(habit.pays());
}

}  // namespace
}  // namespace farandole
