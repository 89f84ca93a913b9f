// How long a session's loop looks before it blocks follows from the group that has formed.

#include <gtest/gtest.h>

#include "bindings/session_factory.h"

namespace farandole {
namespace {

TEST(Linger, IsForHostsWithACoreForEachOfTheirRanks) {
  Config config;
  config.spin_time = 70us;
  const auto with = [&](int ranks, double cores) {
    return linger_of({.size = 16, .local_size = ranks}, config, cores);
  };
  EXPECT_EQ(with(2, 2), config.spin_time);
  EXPECT_EQ(with(1, 1.5), config.spin_time);
  EXPECT_EQ(with(2, 1.5), Duration::zero());
  EXPECT_EQ(with(4, 2), Duration::zero());
}

}  // namespace
}  // namespace farandole
