#include "controller/tcp/watches.h"

#include <gtest/gtest.h>

namespace farandole::control {
namespace {

TEST(Watches, KnowsWhomAWatchConcerns) {
  Watches watches;
  const int one = watches.begin(1), two = watches.begin(2);
  EXPECT_EQ(watches.rank_of(one), 1);
  EXPECT_EQ(watches.rank_of(two), 2);
  EXPECT_EQ(watches.end(1), one);
  EXPECT_EQ(watches.rank_of(one), std::nullopt);
  EXPECT_EQ(watches.rank_of(two), 2);
}

TEST(Watches, WhatIsNoticedOfAProcessConcernsNoLaterOne) {
  Watches watches;
  const int first = watches.begin(1);
  const int second = watches.begin(1);
  EXPECT_NE(first, second);
  EXPECT_EQ(watches.rank_of(first), std::nullopt);
  EXPECT_EQ(watches.rank_of(second), 1);
  EXPECT_EQ(watches.end(1), second);
  EXPECT_NE(watches.begin(1), second);
}

TEST(Watches, EndsWhatThereIs) {
  Watches watches;
  EXPECT_EQ(watches.end(0), std::nullopt);
}

}  // namespace
}  // namespace farandole::control
