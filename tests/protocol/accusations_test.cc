// Whose failure it is when ranks accuse one another.

#include "controller/protocol/accusations.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace farandole::control {
namespace {

PeerFailure verdict_on(const std::vector<std::pair<int, int>>& pairs) {
  Accusations all;
  for (const auto& [accuser, accused] : pairs)
    all.add(accuser, {.rank = accused, .cause = "said " + std::to_string(accuser)});
  return all.verdict();
}

TEST(Accusations, TheOnlyOneIsTheVerdict) {
  EXPECT_EQ(verdict_on({{1, 0}}), (PeerFailure{.rank = 0, .cause = "said 1"}));
}

TEST(Accusations, TheEndOfTheChainIsTheVerdict) {
  EXPECT_EQ(verdict_on({{0, 1}, {1, 2}, {2, 3}}), (PeerFailure{.rank = 3, .cause = "said 2"}));
  EXPECT_EQ(verdict_on({{2, 3}, {0, 1}, {1, 2}}), (PeerFailure{.rank = 3, .cause = "said 2"}));
}

TEST(Accusations, WithoutAnEndTheFirstIs) {
  EXPECT_EQ(verdict_on({{2, 1}, {1, 2}, {0, 2}}), (PeerFailure{.rank = 1, .cause = "said 2"}));
  EXPECT_EQ(verdict_on({{0, 2}, {1, 2}, {2, 1}}), (PeerFailure{.rank = 2, .cause = "said 0"}));
  EXPECT_EQ(verdict_on({{1, 1}}), (PeerFailure{.rank = 1, .cause = "said 1"}));
}

TEST(Accusations, TheFirstOfTwoChainsIs) {
  EXPECT_EQ(verdict_on({{0, 3}, {1, 2}}), (PeerFailure{.rank = 3, .cause = "said 0"}));
}

TEST(Accusations, OfEachRankTheFirstCounts) {
  EXPECT_EQ(verdict_on({{0, 3}, {0, 2}}), (PeerFailure{.rank = 3, .cause = "said 0"}));
}

TEST(Accusations, AreForgotten) {
  Accusations all;
  all.add(0, {.rank = 1});
  EXPECT_FALSE(all.empty());
  all.clear();
  EXPECT_TRUE(all.empty());
  all.add(2, {.rank = 3});
  EXPECT_EQ(all.first(), 2);
  EXPECT_EQ(all.verdict().rank, 3);
}

}  // namespace
}  // namespace farandole::control
