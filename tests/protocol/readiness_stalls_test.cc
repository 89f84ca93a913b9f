// What Readiness counts of what waits.

#include <gmock/gmock.h>

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using std::chrono_literals::operator""s;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Readiness, WhatIsNotToldOfIsCountedAndNotDescribed) {
  Readiness readiness(small_limits(2), {});
  for (int i = 0; i < 40; ++i) {
    readiness.at(kStart + std::chrono::seconds(40 - i));
    ASSERT_TRUE(readiness.announce(0, tensor(std::to_string(i), allreduce({4}))));
  }
  readiness.look_at(kStart + 60s);
  const Stalls stalls = readiness.stalled(10s);
  ASSERT_THAT(stalls.oldest, SizeIs(StallReport::kMost));
  for (size_t i = 0; i < StallReport::kMost; ++i)
    EXPECT_EQ(stalls.oldest[i].name, std::to_string(39 - i));
  EXPECT_EQ(stalls.more, 40 - StallReport::kMost);
  EXPECT_THAT(readiness.stalled(10s).oldest, IsEmpty());
}

}  // namespace
}  // namespace farandole::control
